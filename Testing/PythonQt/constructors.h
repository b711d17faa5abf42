// What PythonQt calls to make and to delete the widgets of CTK.
#pragma once

#include <QObject>

#include "ctkCollapsibleButton.h"
#include "ctkSearchBox.h"

class Constructors : public QObject
{
  Q_OBJECT
public slots:
  ctkCollapsibleButton* new_ctkCollapsibleButton(QWidget* parent = nullptr) { return new ctkCollapsibleButton(parent); }
  void delete_ctkCollapsibleButton(ctkCollapsibleButton* widget) { delete widget; }
  ctkSearchBox* new_ctkSearchBox(QWidget* parent = nullptr) { return new ctkSearchBox(parent); }
  void delete_ctkSearchBox(ctkSearchBox* widget) { delete widget; }
};

// host SCRIPT [ARGUMENTS]: run a Python script inside a Qt application, with PythonQt there to be imported.
#include <QApplication>

#include "PythonQt.h"
#include "PythonQt_QtAll.h"
#include "constructors.h"

int main(int argc, char** argv)
{
  QApplication application(argc, argv);
  QStringList words;
  for (int i = 1; i < argc; ++i)
  {
    words << QString::fromLocal8Bit(argv[i]);
  }
  if (words.isEmpty())
  {
    qCritical("usage: host SCRIPT [ARGUMENTS]");
    return 2;
  }
  PythonQt::init(PythonQt::IgnoreSiteModule);
  PythonQt_QtAll::init();
  PythonQt::self()->addDecorators(new Constructors());
  PythonQt::self()->registerClass(&ctkCollapsibleButton::staticMetaObject, "CTKWidgets");
  PythonQt::self()->registerClass(&ctkSearchBox::staticMetaObject, "CTKWidgets");
  PythonQtObjectPtr python = PythonQt::self()->getMainModule();
  python.addVariable("words", words);
  python.evalScript("import runpy, sys\nsys.argv = list(words)\nrunpy.run_path(words[0], run_name='__main__')");
  return PythonQt::self()->hadError() ? 1 : 0;
}

#!/bin/sh
# Build a host for the panel's tests with the Qt binding that 3D Slicer has, from checkouts of two repositories:
#
#     Testing/PythonQt/build.sh PYTHONQT CTK FOLDER
#     QT_QPA_PLATFORM=offscreen FOLDER/host Testing/PythonQt/inside.py
#
# PYTHONQT is https://github.com/MeVisLab/pythonqt, CTK is https://github.com/commontk/CTK. Debian's packages: g++, make,
# python3-dev, qtbase5-dev, qtbase5-private-dev, qttools5-dev. It takes a few minutes and builds in PYTHONQT and FOLDER.
set -eu
if [ $# -ne 3 ] || [ ! -d "$1/generated_cpp_515" ] || [ ! -d "$2/Libs/Widgets" ]; then
    echo "usage: build.sh PYTHONQT CTK FOLDER, the first two being checkouts of those repositories." >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
pythonqt=$(cd "$1" && pwd)
ctk=$(cd "$2" && pwd)
mkdir -p "$3"
folder=$(cd "$3" && pwd)
python=$(/usr/bin/python3 -c 'import sys; print("{}.{}".format(*sys.version_info))')
include=/usr/include/python$python

cd "$pythonqt"
PYTHONQTALL_CONFIG="PythonQtCore PythonQtGui PythonQtNetwork PythonQtUiTools"
export PYTHONQTALL_CONFIG
qmake PythonQt.pro CONFIG+=release CONFIG+=exclude_generator PYTHON_VERSION="$python" QMAKE_CXXFLAGS_RELEASE="-O0 -w"
make sub-src sub-extensions

cd "$folder"
qmake "$here/host.pro" PYTHONQT="$pythonqt" CTK="$ctk" PYTHON_VERSION="$python" PYTHON_INCLUDE="$include"
make
echo "Built $folder/host"

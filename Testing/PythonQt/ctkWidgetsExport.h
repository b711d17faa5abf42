// CTK generates this file when it is built as a library.
#pragma once
#define CTK_WIDGETS_EXPORT

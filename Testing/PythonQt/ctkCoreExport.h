// CTK generates this file when it is built as a library.
#pragma once
#define CTK_CORE_EXPORT

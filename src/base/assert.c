#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *condition, const char *file, int line, const char *function)
{
    fprintf(stderr, "supervm: assertion failed: %s (%s:%d, %s)\n", condition, file, line, function);
    abort();
}

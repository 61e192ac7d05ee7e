/* base/assert.h - assertions that stay on in release: a caller's bug ends the process before it can reach the disk. */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

_Noreturn void assert_failed(const char *condition, const char *file, int line,
                             const char *function);

#define SVM_ASSERT(condition)                                                                      \
    ((condition) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__, __func__))

#endif

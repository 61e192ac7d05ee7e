/* weave/cases.h - small closed tests of real code for weave_search. */
#ifndef WEAVE_CASES_H
#define WEAVE_CASES_H

#include <pthread.h>

#include "weave.h"

/* Two or three threads, a handful of steps each. `defect` says in words what is wrong when case_wrong is set, or in the code when the
 * fault named `bug` is: then some order must fail. */
struct case_of {
    struct weave_case test;
    const char *defect;
    const char *bug; /* of FAULT_BUG; NULL: case_wrong */
};
extern bool case_wrong;
extern const struct case_of cases_base[], cases_table[],
    cases_index[]; /* end with a name of NULL */

/* case_threads: start all, join all. */
void case_threads(void *(*const *runs)(void *), size_t count);
#define CASE_CHECK(condition)                                                                      \
    ((condition) ? (void)0 : weave_fail("%s (line %d)", #condition, __LINE__))

#endif

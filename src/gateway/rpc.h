/* gateway/rpc.h - JSON-RPC 2.0: what a method sees of its call, and how it answers.
 *
 * A method is one function: typed parameters in, an answer out. The answer is a pointer that only rpc_ok_<method> (generated),
 * the rpc_fail functions and the rpc_later functions can make, so a method cannot forget to answer. It never sees JSON.
 *
 * Methods marked `pool` in their contract run on a thread of libuv's pool and may block; the others run on L and must not.
 * Either way a call belongs to one thread at a time, and its arena and answer with it. */
#ifndef GATEWAY_RPC_H
#define GATEWAY_RPC_H

#include "gateway/arena.h"
#include "gateway/rpc_error.h"
#include "gateway/schema.h"
#include "gateway/waits.h"
#include <svm/engine.h>

struct gateway;
struct rpc_call;
struct rpc_answer;

enum rpc_exposure { RPC_PUBLIC, RPC_ADMIN, RPC_DEV };

enum {
    RPC_METHODS_MAX = 64,
    RPC_JSON_DEPTH_MAX = 32,
    RPC_LIST_ITEMS_MAX = 1000,
    RPC_API_VERSION = 1
};

struct rpc_method {
    const char *name;
    const struct schema *params;
    const struct rpc_answer *(*run)(struct rpc_call *call, const void *params);
    enum rpc_exposure exposure;
    bool on_pool;
    bool read_only; /* a call changes nothing, neither the chain nor the node nor a disk */
};

/* The table of methods, in the order of strcmp, and the OpenRPC document in pieces (generated). */
extern const struct rpc_method rpc_methods[];
extern const size_t rpc_methods_count;
extern const char *const rpc_openrpc[];
extern const size_t rpc_openrpc_count;

/* ---- what a method may ask ----------------------------------------------------------------------------------- */

struct gateway *
rpc_gateway(const struct rpc_call *call); /* L only, but for what its header says is constant */
struct svm_engine *rpc_engine(const struct rpc_call *call);
struct arena *rpc_arena(struct rpc_call *call); /* memory that lives until the call is answered */

/* ---- how it answers ------------------------------------------------------------------------------------------- */

const struct rpc_answer *rpc_answer_value(struct rpc_call *call, const struct schema *schema,
                                          const void *value);
const struct rpc_answer *rpc_answer_json(struct rpc_call *call, struct svm_bytes json);

const struct rpc_answer *rpc_fail(struct rpc_call *call, enum svm_err err);
const struct rpc_answer *rpc_fail_refusal(struct rpc_call *call, enum svm_err err,
                                          const struct svm_refusal *refusal);
const struct rpc_answer *rpc_fail_error(struct rpc_call *call, const struct rpc_error *error);
/* rpc_fail_param: INVALID_PARAMS about PARAM. GOT may be NULL. */
const struct rpc_answer *rpc_fail_param(struct rpc_call *call, const char *param,
                                        const char *expected, const char *got);

/* rpc_later_group: FINISH answers when GROUP is complete or its time is up; at once when it already is. Takes GROUP.
 * L only. FINISH must not answer later again. */
typedef const struct rpc_answer *rpc_finish_fn(struct rpc_call *call,
                                               const struct wait_group *group, void *arg);
const struct rpc_answer *rpc_later_group(struct rpc_call *call, struct wait_group *group,
                                         uint32_t timeout_ms, rpc_finish_fn *finish, void *arg);

#endif

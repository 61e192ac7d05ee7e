/* history/work.h - the clients: what each of them asks of the node, and the history of it.
 *
 * Objects: `OWNED` counters of each of `ACCOUNTS` keys, `SHARED` shared ones, a few of each hot. A request carries up to `BATCH` transactions
 * (tx_submitBatch), all of them under way together, or is a query for several objects:
 *
 *     exact    owned inputs at a version that somebody has seen      reads what it names, or loses to who was faster
 *     latest   an owned input as it is                               fast, or in the order when it meets a claim
 *     ordered  shared inputs, some Expected at a seen version        reads what it expects; fails otherwise, and then leaves nothing
 *     query    object_getMany                                        versions and numbers, all of one state
 *
 * Each transaction adds 1 to each object it writes: the number in an object tells how many were there before.
 * Some are signed by a stranger, and must not be executed; some are sent again much later, and must not be executed twice.
 * A client whose connection breaks sends the same bytes again until the node, alive again, has answered. */
#ifndef HISTORY_WORK_H
#define HISTORY_WORK_H

#include <stdatomic.h>

#include <svm.h>

#include "base/rng.h"
#include "history/check.h"
#include "history/node.h"

enum { ACCOUNTS = 4, OWNED = 96, SHARED = 64, OBJECTS = ACCOUNTS * OWNED + SHARED };
enum { TX_BYTES = 1024, TEXT_BYTES = (TX_BYTES + 98 + 2) / 3 * 4 + 1 };
enum { CLIENTS = 6, BATCH = 24, INPUTS_MAX = 4, LIVES_MAX = 256 };

/* What one client has seen. */
struct log {
    struct history_op *ops;
    struct history_read *reads;
    struct history_write *writes;
    uint16_t *lives; /* of each op: the node's when it was answered */
    size_t op_count, op_cap, read_count, read_cap, write_count, write_cap;
};
struct history_op *log_begin(struct log *log, uint32_t client, uint64_t invoked);
void log_read(struct log *log, uint32_t object, uint64_t version, int64_t value);
void log_write(struct log *log, uint32_t object, uint64_t version, uint32_t adds);

struct world {
    struct node node;
    uint64_t chain;
    struct svm_dev_account accounts[ACCOUNTS];
    struct svm_id ids[OBJECTS];
    _Atomic uint64_t known[OBJECTS]; /* the newest version that somebody has seen */
    _Atomic uint64_t done;           /* operations */
    _Atomic uint32_t life;           /* of the node: counts up when it is ready again */
    uint64_t goal, seed;
    uint64_t recovered[LIVES_MAX]; /* the position at which each life began */
};

struct client {
    struct world *world;
    uint32_t index;
    uint32_t life;
    struct link link;
    struct log log;
    struct rng rng;
    uint64_t nonce, fast, ordered, fallbacks, again, resent;
    char kept[TEXT_BYTES]; /* an answered transaction, to be sent again later; */
    uint64_t kept_seq;     /* its position, 0 = none */
};

/* world_create_objects: the setup transactions; their writes go into LOG. */
void world_create_objects(struct world *world, struct link *link, struct log *log);
void *client_main(void *client);
/* client_query: the COUNT objects PICKED, as an operation. false = the connection is gone. */
bool client_query(struct client *client, const uint32_t *picked, unsigned count);

#endif

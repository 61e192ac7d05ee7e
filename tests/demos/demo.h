/* demos/demo.h - what the demonstrations share: an engine in this process, a story on stdout, and numbers that are checked.
 *
 *      demo_open -> (demo_send | demo_send_all | closures.h) -> demo_expect -> demo_close
 *
 * Only the public interface is used. Whatever goes wrong ends the process with exit code 1 and one sentence on stderr: a
 * demonstration that limps shows nothing. Thread: the main thread. */
#ifndef DEMO_H
#define DEMO_H

#include <svm.h>

/* The cast of every story: the first accounts of the development chain. */
enum { ALICE, BOB, CAROL, DEMO_ACCOUNTS };

struct demo {
    struct svm_engine *engine;
    uint64_t chain;
    uint64_t nonce; /* of the next transaction: makes equal ones differ */
    struct svm_dev_account accounts[DEMO_ACCOUNTS];
};

/* demo_open: an engine in memory with one worker and the development chain, and the title of the story. */
void demo_open(struct demo *demo, const char *title);
/* demo_close: the last line of every story, "NAME: everything as expected". */
void demo_close(struct demo *demo, const char *name);

/* demo_say: one line of the story, indented. */
void demo_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* demo_step: a heading. */
void demo_step(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void demo_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* demo_must: ends the process unless ERR is SVM_OK. WHY may be NULL. */
void demo_must(enum svm_err err, const struct svm_refusal *why, const char *what);
/* demo_expect: WHAT is printed with its number; ends the process when GOT is not EXPECTED. */
void demo_expect(const char *what, uint64_t got, uint64_t expected);
/* demo_expect_err: the same with an error's name; SVM_OK reads "accepted". */
void demo_expect_err(const char *what, enum svm_err got, enum svm_err expected);
double demo_now_s(void);
/* demo_argument: argv[INDEX] as a number from LEAST to MOST, or FALLBACK when it is not given. */
uint64_t demo_argument(int argc, char **argv, int index, uint64_t fallback, uint64_t least,
                       uint64_t most);

/* ---- transactions ------------------------------------------------------------------------------------------- */

/* demo_tx: a builder for a transaction of ACCOUNT's, with gas limit, nonce and an expiry.
 * gives: one of the two demo_send functions, or demo_sign, takes it. */
struct svm_tx_builder *demo_tx(struct demo *demo, unsigned account);

/* What became of one transaction. */
struct demo_answer {
    enum svm_err err; /* SVM_OK: it was executed */
    enum svm_failure failure;
    enum svm_path path;
    enum svm_fallback fallback;
    uint64_t gas_used;
    struct svm_digest digest;
    struct svm_refusal refusal;
};

/* demo_send: sign for ACCOUNT, submit, wait until it was executed. Takes BUILDER. */
struct demo_answer demo_send(struct demo *demo, unsigned account, struct svm_tx_builder *builder);

enum { DEMO_TX_BYTES = 640 };
struct demo_signed {
    size_t len;
    uint8_t bytes[DEMO_TX_BYTES];
};
/* demo_sign: bytes that can be sent later. Takes BUILDER. */
void demo_sign(struct demo_signed *signed_out, struct demo *demo, unsigned account,
               struct svm_tx_builder *builder);
/* demo_send_all: submit COUNT transactions in one batch and wait until all were answered.
 *   answers  out  COUNT of them, in the order of TXS */
void demo_send_all(struct demo *demo, struct demo_answer *answers, const struct demo_signed *txs,
                   size_t count);

/* demo_create: COUNT new objects with 8 bytes of zero as data each, made by ALICE; OWNERS take them in turn.
 *   ids  out  COUNT of them */
void demo_create(struct demo *demo, struct svm_id *ids, size_t count,
                 const struct svm_owner *owners, size_t owner_count, const char *type);
struct svm_owner demo_owned(const struct svm_address *address);
struct svm_owner demo_shared(void);

/* demo_op: an operation on the input of that handle, zero otherwise. */
struct svm_op demo_op(enum svm_op_kind kind, int handle);
/* demo_add_tx: a transaction of ACCOUNT's that adds DELTA to the counter ID: owned in exactly VERSION (0 = latest), or
 * shared. Takes nothing, gives a builder as demo_tx does. */
struct svm_tx_builder *demo_add_tx(struct demo *demo, unsigned account, const struct svm_id *id,
                                   enum svm_kind kind, uint64_t version, int64_t delta);

/* demo_object: the object as it is now. gives: svm_object_free. */
struct svm_object *demo_object(struct demo *demo, const struct svm_id *id);
/* demo_counter: the number in the object's first 8 bytes. */
uint64_t demo_counter(struct demo *demo, const struct svm_id *id);
/* demo_name: who of the cast owns the object. */
const char *demo_name(const struct demo *demo, const struct svm_address *address);

#endif

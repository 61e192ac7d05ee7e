#include "demos/demo.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GAS_LIMIT = 10 * 1000 * 1000, EXPIRY_MS = 60 * 1000, CREATES_PER_TX = 200 };

/* ---- the story ------------------------------------------------------------------------------------------------ */

void demo_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("  ", stdout);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

void demo_step(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    putchar('\n');
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

void demo_die(const char *format, ...)
{
    va_list args;
    fflush(stdout);
    va_start(args, format);
    fputs("wrong: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void demo_must(enum svm_err err, const struct svm_refusal *why, const char *what)
{
    if (err != SVM_OK)
        demo_die("%s: %s: %s", what, svm_err_name(err),
                 why && why->reason[0] ? why->reason : svm_err_text(err));
}

void demo_expect(const char *what, uint64_t got, uint64_t expected)
{
    demo_say("%-52s %10llu", what, (unsigned long long)got);
    if (got != expected)
        demo_die("%s is %llu and should be %llu", what, (unsigned long long)got,
                 (unsigned long long)expected);
}

static const char *word(enum svm_err err)
{
    return err == SVM_OK ? "accepted" : svm_err_name(err);
}

void demo_expect_err(const char *what, enum svm_err got, enum svm_err expected)
{
    demo_say("%-52s %s", what, word(got));
    if (got != expected)
        demo_die("%s: %s, and should be %s", what, word(got), word(expected));
}

double demo_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

uint64_t demo_argument(int argc, char **argv, int index, uint64_t fallback, uint64_t least,
                       uint64_t most)
{
    if (index >= argc)
        return fallback;
    char *end;
    const unsigned long long value = strtoull(argv[index], &end, 10);
    if (*argv[index] == '\0' || *argv[index] == '-' || *end != '\0' || value < least ||
        value > most)
        demo_die("argument %d is \"%s\" and should be a number from %llu to %llu", index,
                 argv[index], (unsigned long long)least, (unsigned long long)most);
    return value;
}

/* ---- the engine ----------------------------------------------------------------------------------------------- */

void demo_open(struct demo *demo, const char *title)
{
    struct svm_config config;
    struct svm_refusal why = {.reason = ""};
    struct svm_chain_info chain;
    *demo = (struct demo){.nonce = 1};
    svm_config_init(&config);
    config.durability = SVM_MEMORY;
    config.workers =
        1; /* those beyond the first would help who calls with closures: N threads are N */
    demo_must(svm_engine_open(&demo->engine, &config, &why), &why, "opening the engine");
    svm_chain_info(demo->engine, &chain);
    demo->chain = chain.chain;
    for (unsigned i = 0; i < DEMO_ACCOUNTS; i++)
        svm_dev_account(&demo->accounts[i], i);
    printf("%s\n", title);
}

void demo_close(struct demo *demo, const char *name)
{
    svm_engine_close(demo->engine);
    printf("\n%s: everything as expected\n", name);
}

/* ---- transactions --------------------------------------------------------------------------------------------- */

struct svm_tx_builder *demo_tx(struct demo *demo, unsigned account)
{
    struct svm_tx_builder *builder =
        svm_tx_builder_create(demo->chain, &demo->accounts[account].address);
    if (builder == NULL)
        demo_die("out of memory");
    svm_tx_builder_nonce(builder, demo->nonce++);
    svm_tx_builder_expires(builder, svm_now_ms(demo->engine) + EXPIRY_MS);
    svm_tx_builder_gas_limit(builder, GAS_LIMIT);
    return builder;
}

/* Signs what BUILDER holds into BUF and lets BUILDER go. */
static struct svm_bytes finish(uint8_t *buf, size_t cap, const struct demo *demo, unsigned account,
                               struct svm_tx_builder *builder)
{
    struct svm_refusal why = {.reason = ""};
    uint8_t *raw = malloc(cap);
    size_t len = 0;
    if (raw == NULL)
        demo_die("out of memory");
    demo_must(svm_tx_builder_finish(builder, raw, cap, &len, &why), &why, "encoding");
    demo_must(
        svm_tx_sign(buf, cap, &len, (struct svm_bytes){raw, len}, &demo->accounts[account].key),
        NULL, "signing");
    free(raw);
    svm_tx_builder_destroy(builder);
    return (struct svm_bytes){buf, len};
}

struct demo_answer demo_send(struct demo *demo, unsigned account, struct svm_tx_builder *builder)
{
    struct demo_answer answer = {.err = SVM_OK};
    struct svm_receipt *receipt = NULL;
    struct svm_outcome outcome;
    uint8_t *buf = malloc(SVM_TX_BYTES_MAX);
    if (buf == NULL)
        demo_die("out of memory");
    const struct svm_bytes bytes = finish(buf, SVM_TX_BYTES_MAX, demo, account, builder);
    answer.err = svm_submit_wait(demo->engine, bytes, SVM_WAIT_EXECUTED, &receipt, &outcome,
                                 &answer.refusal);
    if (receipt != NULL) {
        answer.failure = receipt->failure;
        answer.path = receipt->path;
        answer.fallback = receipt->fallback;
        answer.gas_used = receipt->gas_used;
        answer.digest = receipt->digest;
    }
    svm_receipt_free(receipt);
    free(buf);
    return answer;
}

void demo_sign(struct demo_signed *signed_out, struct demo *demo, unsigned account,
               struct svm_tx_builder *builder)
{
    signed_out->len =
        finish(signed_out->bytes, sizeof signed_out->bytes, demo, account, builder).len;
}

/* Answers come on threads of the engine; the one who waits is told of the last. */
struct batch {
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    size_t open;
};
struct slot {
    struct batch *batch;
    struct demo_answer *answer;
};

static void on_answer(void *arg, const struct svm_outcome *outcome)
{
    const struct slot *slot = arg;
    struct demo_answer *answer = slot->answer;
    answer->err = outcome->err;
    if (outcome->refusal != NULL)
        answer->refusal = *outcome->refusal;
    if (outcome->receipt != NULL) {
        answer->failure = outcome->receipt->failure;
        answer->path = outcome->receipt->path;
        answer->fallback = outcome->receipt->fallback;
        answer->gas_used = outcome->receipt->gas_used;
        answer->digest = outcome->receipt->digest;
    }
    pthread_mutex_lock(&slot->batch->mutex);
    if (--slot->batch->open == 0)
        pthread_cond_signal(&slot->batch->answered);
    pthread_mutex_unlock(&slot->batch->mutex);
}

void demo_send_all(struct demo *demo, struct demo_answer *answers, const struct demo_signed *txs,
                   size_t count)
{
    struct batch batch = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, count};
    struct svm_submission *submissions = calloc(count, sizeof *submissions);
    struct slot *slots = calloc(count, sizeof *slots);
    if (submissions == NULL || slots == NULL)
        demo_die("out of memory");
    memset(answers, 0, count * sizeof *answers);
    for (size_t i = 0; i < count; i++) {
        slots[i] = (struct slot){&batch, &answers[i]};
        submissions[i] = (struct svm_submission){
            .bytes = {txs[i].bytes, txs[i].len}, .arg = &slots[i], .refusal = &answers[i].refusal};
    }
    svm_submit_batch(demo->engine, submissions, count, SVM_WAIT_EXECUTED, on_answer);
    size_t refused_at_once = 0;
    for (size_t i = 0; i < count; i++)
        if (submissions[i].err != SVM_OK) {
            answers[i].err = submissions[i].err;
            refused_at_once++;
        }
    pthread_mutex_lock(&batch.mutex);
    batch.open -= refused_at_once;
    while (batch.open > 0)
        pthread_cond_wait(&batch.answered, &batch.mutex);
    pthread_mutex_unlock(&batch.mutex);
    free(slots);
    free(submissions);
}

struct svm_op demo_op(enum svm_op_kind kind, int handle)
{
    struct svm_op op;
    memset(&op, 0, sizeof op);
    op.kind = kind;
    op.input = (uint16_t)handle;
    return op;
}

struct svm_tx_builder *demo_add_tx(struct demo *demo, unsigned account, const struct svm_id *id,
                                   enum svm_kind kind, uint64_t version, int64_t delta)
{
    struct svm_tx_builder *builder = demo_tx(demo, account);
    const int handle = kind == SVM_KIND_SHARED ? svm_tx_builder_shared(builder, id, true)
                       : version == 0          ? svm_tx_builder_owned_latest(builder, id)
                                               : svm_tx_builder_owned(builder, id, version);
    struct svm_op op = demo_op(SVM_OP_ADD, handle);
    op.u.add.delta = delta;
    svm_tx_builder_op(builder, &op);
    return builder;
}

/* ---- objects -------------------------------------------------------------------------------------------------- */

struct svm_owner demo_owned(const struct svm_address *address)
{
    return (struct svm_owner){.kind = SVM_KIND_OWNED, .address = *address};
}

struct svm_owner demo_shared(void)
{
    return (struct svm_owner){.kind = SVM_KIND_SHARED};
}

void demo_create(struct demo *demo, struct svm_id *ids, size_t count,
                 const struct svm_owner *owners, size_t owner_count, const char *type)
{
    static const uint8_t zero[8];
    for (size_t done = 0; done < count;) {
        const size_t n = count - done < CREATES_PER_TX ? count - done : CREATES_PER_TX;
        struct svm_tx_builder *builder = demo_tx(demo, ALICE);
        for (size_t i = 0; i < n; i++) {
            struct svm_op op = demo_op(SVM_OP_CREATE, 0);
            op.u.create.owner = owners[(done + i) % owner_count];
            op.u.create.type = (struct svm_bytes){(const uint8_t *)type, strlen(type)};
            op.u.create.data = (struct svm_bytes){zero, sizeof zero};
            svm_tx_builder_op(builder, &op);
        }
        const struct demo_answer answer = demo_send(demo, ALICE, builder);
        demo_must(answer.err, &answer.refusal, "creating objects");
        if (answer.failure != SVM_FAILURE_NONE)
            demo_die("creating objects failed: %s", svm_failure_text(answer.failure));
        for (size_t i = 0; i < n; i++)
            svm_tx_new_object_id(&ids[done + i], &answer.digest, (uint16_t)i);
        done += n;
    }
}

struct svm_object *demo_object(struct demo *demo, const struct svm_id *id)
{
    struct svm_snapshot *snapshot;
    struct svm_object *object;
    demo_must(svm_snapshot_open(demo->engine, &snapshot), NULL, "opening a snapshot");
    demo_must(svm_object_get(snapshot, id, &object), NULL, "reading an object");
    svm_snapshot_close(snapshot);
    return object;
}

uint64_t demo_counter(struct demo *demo, const struct svm_id *id)
{
    struct svm_object *object = demo_object(demo, id);
    uint64_t value = 0;
    if (object->data.len < 8)
        demo_die("the object is no counter: %zu bytes of data", object->data.len);
    for (unsigned i = 8; i-- > 0;)
        value = value << 8 | object->data.ptr[i];
    svm_object_free(object);
    return value;
}

const char *demo_name(const struct demo *demo, const struct svm_address *address)
{
    for (unsigned i = 0; i < DEMO_ACCOUNTS; i++)
        if (memcmp(&demo->accounts[i].address, address, sizeof *address) == 0)
            return demo->accounts[i].name;
    return "somebody else";
}

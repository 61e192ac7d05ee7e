#include "history/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "history/graph.h"

enum { SETUP_BYTES = 64 * 1024, HOT = 4, GAS = 1000000, EXPIRY_MS = 300000 };
enum { EXACT_SHARE = 45, LATEST_SHARE = 60, QUERY_SHARE = 40 }; /* of 100; of 100 requests */
static const char COUNTER[] = "history.counter";

/* ---- the log ------------------------------------------------------------------------------------------------------ */

static void *room(void *array, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return array;
    *cap = *cap == 0 ? 1024 : 2 * *cap;
    return memory_or_die(realloc(array, *cap * size));
}

struct history_op *log_begin(struct log *log, uint32_t client, uint64_t invoked)
{
    size_t cap = log->op_cap;
    log->ops = room(log->ops, &log->op_cap, log->op_count, sizeof *log->ops);
    log->lives = room(log->lives, &cap, log->op_count, sizeof *log->lives);
    struct history_op *op = &log->ops[log->op_count++];
    *op = (struct history_op){.client = client,
                              .invoked = invoked,
                              .reads = (uint32_t)log->read_count,
                              .writes = (uint32_t)log->write_count};
    return op;
}

void log_read(struct log *log, uint32_t object, uint64_t version, int64_t value)
{
    log->reads = room(log->reads, &log->read_cap, log->read_count, sizeof *log->reads);
    log->reads[log->read_count++] = (struct history_read){object, version, value};
    log->ops[log->op_count - 1].read_count++;
}

void log_write(struct log *log, uint32_t object, uint64_t version, uint32_t adds)
{
    log->writes = room(log->writes, &log->write_cap, log->write_count, sizeof *log->writes);
    log->writes[log->write_count++] = (struct history_write){object, version, adds};
    log->ops[log->op_count - 1].write_count++;
}

/* ---- transactions --------------------------------------------------------------------------------------------------- */

/* A transaction under way. */
struct sent {
    unsigned count; /* of inputs */
    bool stranger;  /* signed by who does not own what it names */
    struct {
        uint32_t object;
        uint64_t version; /* that it names or expects; 0 = none */
        bool writes;
    } inputs[INPUTS_MAX];
    char text[TEXT_BYTES]; /* base64 */
};

static bool is_shared(uint32_t object)
{
    return object >= ACCOUNTS * OWNED;
}

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void see(struct world *world, uint32_t object, uint64_t version)
{
    uint64_t known = atomic_load_explicit(&world->known[object], memory_order_relaxed);
    while (known < version && !atomic_compare_exchange_weak(&world->known[object], &known, version))
        continue;
}

/* COUNT different ones of FIRST .. FIRST + RANGE, often the hot ones. */
static void pick(struct rng *rng, uint32_t *picked, unsigned count, uint32_t first, uint32_t range)
{
    for (unsigned n = 0; n < count;) {
        uint32_t object = first + (uint32_t)rng_below(rng, rng_below(rng, 8) ? range : HOT);
        bool twice = false;
        for (unsigned i = 0; i < n; i++)
            twice |= picked[i] == object;
        if (!twice)
            picked[n++] = object;
    }
}

/* What it is to be: objects, versions, which are written. Returns the account that signs. */
static unsigned plan(struct client *client, struct sent *sent)
{
    struct world *world = client->world;
    struct rng *rng = &client->rng;
    uint32_t picked[INPUTS_MAX];
    unsigned account = (unsigned)rng_below(rng, ACCOUNTS);
    uint64_t dice = rng_below(rng, 100);
    *sent = (struct sent){.count = 1 + (unsigned)rng_below(rng, dice < LATEST_SHARE ? 2 : 3)};
    if (dice < LATEST_SHARE)
        pick(rng, picked, sent->count, account * OWNED, OWNED);
    else
        pick(rng, picked, sent->count, ACCOUNTS * OWNED, SHARED);
    for (unsigned i = 0; i < sent->count; i++) {
        bool names = dice < EXACT_SHARE || (dice >= LATEST_SHARE && rng_below(rng, 3) == 0);
        sent->inputs[i].object = picked[i];
        sent->inputs[i].version = names ? atomic_load(&world->known[picked[i]]) : 0;
        /* An ordered one that only looks at some: who writes the other of the two may look at this one. */
        sent->inputs[i].writes = dice < LATEST_SHARE || i == 0 || !names || rng_below(rng, 2);
    }
    sent->stranger = dice < LATEST_SHARE && rng_below(rng, 50) == 0;
    return sent->stranger ? (account + 1) % ACCOUNTS : account;
}

/* All Adds come before all Expects: a failure leaves nothing of them. */
static void add_ops(struct svm_tx_builder *builder, const struct sent *sent, const int *handles)
{
    for (unsigned i = 0; i < sent->count; i++)
        if (sent->inputs[i].writes) {
            struct svm_op op = {.kind = SVM_OP_ADD, .input = (uint16_t)handles[i]};
            op.u.add.delta = 1;
            svm_tx_builder_op(builder, &op);
        }
    for (unsigned i = 0; i < sent->count; i++)
        if (sent->inputs[i].version > 0 && is_shared(sent->inputs[i].object)) {
            struct svm_op op = {.kind = SVM_OP_EXPECT, .input = (uint16_t)handles[i]};
            op.u.expect.kind = SVM_CHECK_VERSION;
            op.u.expect.value = sent->inputs[i].version;
            svm_tx_builder_op(builder, &op);
        }
}

static void make(struct client *client, struct sent *sent)
{
    struct world *world = client->world;
    const struct svm_dev_account *account = &world->accounts[plan(client, sent)];
    struct svm_tx_builder *builder = svm_tx_builder_create(world->chain, &account->address);
    struct svm_refusal why = {.reason = ""};
    uint8_t bytes[TX_BYTES], wire[TX_BYTES + 98];
    size_t len, wire_len;
    int handles[INPUTS_MAX];
    svm_tx_builder_nonce(builder, (uint64_t)client->index << 48 | client->nonce++);
    svm_tx_builder_gas_limit(builder, GAS);
    svm_tx_builder_expires(builder, wall_ms() + EXPIRY_MS);
    for (unsigned i = 0; i < sent->count; i++) {
        const struct svm_id *id = &world->ids[sent->inputs[i].object];
        if (is_shared(sent->inputs[i].object))
            handles[i] = svm_tx_builder_shared(builder, id, sent->inputs[i].writes);
        else if (sent->inputs[i].version > 0)
            handles[i] = svm_tx_builder_owned(builder, id, sent->inputs[i].version);
        else
            handles[i] = svm_tx_builder_owned_latest(builder, id);
    }
    add_ops(builder, sent, handles);
    if (svm_tx_builder_finish(builder, bytes, sizeof bytes, &len, &why) != SVM_OK ||
        svm_tx_sign(wire, sizeof wire, &wire_len, (struct svm_bytes){bytes, len}, &account->key) !=
            SVM_OK)
        fail("cannot build a transaction: %s", why.reason);
    svm_tx_builder_destroy(builder);
    base64_encode(sent->text, wire, wire_len);
}

/* ---- answers -------------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    if (text == NULL)
        fail("an answer has no member %s", name);
    return text;
}

static uint64_t number_of(const json_t *object, const char *name)
{
    return strtoull(text_of(object, name), NULL, 10);
}

static void note_writes(struct client *client, const struct sent *sent, const json_t *receipt,
                        bool failed)
{
    const json_t *mutated = json_object_get(json_object_get(receipt, "effects"), "mutated");
    for (size_t i = 0; i < json_array_size(mutated); i++) {
        const json_t *change = json_array_get(mutated, i);
        uint64_t version = number_of(change, "version");
        bool declared = false;
        for (unsigned k = 0; k < sent->count; k++) {
            char id[67];
            svm_hex32_format(id, client->world->ids[sent->inputs[k].object].b);
            if (strcmp(id, text_of(change, "id")) != 0)
                continue;
            declared = true;
            log_write(&client->log, sent->inputs[k].object, version, failed ? 0 : 1);
            see(client->world, sent->inputs[k].object, version);
        }
        if (!declared)
            fail("a transaction wrote an object that it did not name");
    }
}

/* ITEM is what became of SENT. false = not known yet. */
static bool note(struct client *client, const struct sent *sent, const json_t *item,
                 uint64_t invoked, uint64_t returned)
{
    const json_t *receipt = json_object_get(item, "result");
    if (json_is_object(receipt) && strcmp(text_of(receipt, "status"), "pending") == 0)
        return false;
    struct history_op *op = log_begin(&client->log, client->index, invoked);
    client->log.lives[client->log.op_count - 1] = (uint16_t)client->life;
    op->returned = returned;
    if (!json_is_object(receipt)) {
        op->type = HISTORY_FAIL;
        return true;
    }
    if (sent->stranger)
        fail("a stranger's transaction was executed");
    const char *status = text_of(receipt, "status");
    bool failed = strcmp(status, "failed") == 0;
    if (!failed && strcmp(status, "durable") != 0)
        fail("an answer that waited for durability is %s", status);
    op->type = failed ? HISTORY_FAIL : HISTORY_OK;
    op->position = 2 * number_of(receipt, "seq");
    if (client->kept_seq == 0 && rng_below(&client->rng, 64) == 0) {
        memcpy(client->kept, sent->text, sizeof sent->text);
        client->kept_seq = op->position / 2;
    }
    client->fast += strcmp(text_of(receipt, "path"), "fast") == 0;
    client->ordered += strcmp(text_of(receipt, "path"), "consensus") == 0;
    client->fallbacks += json_is_object(json_object_get(receipt, "fallback"));
    note_writes(client, sent, receipt, failed);
    op = &client->log.ops[client->log.op_count - 1];
    if (failed && op->write_count > 0)
        fail("a failed transaction on shared objects has written");
    for (unsigned i = 0; !failed && i < sent->count; i++)
        if (sent->inputs[i].version > 0)
            log_read(&client->log, sent->inputs[i].object, sent->inputs[i].version, -1);
    return true;
}

/* ---- requests -------------------------------------------------------------------------------------------------------- */

/* The node has gone: wait for its next life. */
static void reconnect(struct client *client)
{
    struct world *world = client->world;
    link_close(&client->link);
    while (atomic_load(&world->life) == client->life)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    client->life = atomic_load(&world->life);
    client->again++;
    (void)link_open(&client->link, &world->node);
}

static size_t format_batch(char *params, size_t cap, const struct sent *sents, unsigned count)
{
    size_t len = (size_t)snprintf(params, cap, "{\"wait\":\"durable\",\"txs\":[");
    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(params + len, cap - len, "%s\"%s\"", i ? "," : "", sents[i].text);
    return len + (size_t)snprintf(params + len, cap - len, "]}");
}

/* Sends transactions until each of them is known to have come to an end. */
static void submit(struct client *client)
{
    static _Thread_local struct sent sents[BATCH];
    static _Thread_local char params[BATCH * sizeof(struct sent) + 64];
    unsigned count = 1 + (unsigned)rng_below(&client->rng, BATCH);
    for (unsigned i = 0; i < count; i++)
        make(client, &sents[i]);
    uint64_t invoked = now_ns();
    atomic_fetch_add(&client->world->done, count);
    while (count > 0) {
        size_t len = format_batch(params, sizeof params, sents, count);
        json_t *answer =
            client->link.fd < 0 ? NULL : link_call(&client->link, "tx_submitBatch", params, len);
        uint64_t returned = now_ns();
        if (answer == NULL) {
            reconnect(client);
            continue;
        }
        const json_t *items = json_object_get(json_object_get(answer, "result"), "items");
        unsigned left = 0;
        if (json_array_size(items) != count) /* OVERLOADED as a whole */
            left = count;
        for (unsigned i = 0; left == 0 && i < count; i++)
            if (!note(client, &sents[i], json_array_get(items, i), invoked, returned)) {
                struct sent *later = &sents[left];
                memmove(later, &sents[i], sizeof *later);
                left = 1;
                for (unsigned k = i + 1; k < count; k++)
                    if (!note(client, &sents[k], json_array_get(items, k), invoked, returned))
                        memmove(&sents[left++], &sents[k], sizeof sents[k]);
            }
        json_decref(answer);
        count = left;
    }
}

/* Sends again, after a while and perhaps a life, what has had its answer: it is the same one. */
static void resend(struct client *client)
{
    char params[sizeof client->kept + 64];
    if (client->kept_seq == 0 || rng_below(&client->rng, 16) != 0)
        return;
    int len = snprintf(params, sizeof params, "{\"wait\":\"durable\",\"tx\":\"%s\"}", client->kept);
    json_t *answer =
        client->link.fd < 0 ? NULL : link_call(&client->link, "tx_submit", params, (size_t)len);
    if (answer == NULL) {
        reconnect(client);
        return;
    }
    const json_t *receipt = json_object_get(answer, "result");
    if (json_is_object(receipt) && json_is_string(json_object_get(receipt, "seq")) &&
        number_of(receipt, "seq") != client->kept_seq)
        fail("a transaction was executed twice, at %llu and %llu",
             (unsigned long long)client->kept_seq, (unsigned long long)number_of(receipt, "seq"));
    client->kept_seq = 0;
    client->resent++;
    json_decref(answer);
}

static void note_object(struct client *client, uint32_t object, const json_t *item)
{
    const json_t *found = json_object_get(item, "object");
    uint8_t data[64];
    size_t len;
    if (!json_is_object(found))
        fail("object %u is not found", object);
    const char *text = text_of(found, "data");
    if (!base64_decode(data, sizeof data, &len, text, strlen(text)) || len != 8)
        fail("object %u holds no number", object);
    uint64_t version = number_of(found, "version");
    log_read(&client->log, object, version, (int64_t)bytes_get_u64le(data));
    see(client->world, object, version);
}

bool client_query(struct client *client, const uint32_t *picked, unsigned count)
{
    char params[OBJECTS * 70 + 32], id[67];
    size_t len = (size_t)snprintf(params, sizeof params, "{\"ids\":[");
    for (unsigned i = 0; i < count; i++) {
        svm_hex32_format(id, client->world->ids[picked[i]].b);
        len += (size_t)snprintf(params + len, sizeof params - len, "%s\"%s\"", i ? "," : "", id);
    }
    len += (size_t)snprintf(params + len, sizeof params - len, "]}");
    uint64_t invoked = now_ns();
    json_t *answer =
        client->link.fd < 0 ? NULL : link_call(&client->link, "object_getMany", params, len);
    uint64_t returned = now_ns();
    if (answer == NULL)
        return false;
    const json_t *result = json_object_get(answer, "result");
    const json_t *items = json_object_get(result, "items");
    if (json_array_size(items) == count) { /* else OVERLOADED: it saw nothing */
        struct history_op *op = log_begin(&client->log, client->index, invoked);
        client->log.lives[client->log.op_count - 1] = (uint16_t)client->life;
        op->returned = returned;
        op->position = 2 * number_of(result, "seq") + 1;
        for (unsigned i = 0; i < count; i++)
            note_object(client, picked[i], json_array_get(items, i));
    }
    json_decref(answer);
    return true;
}

static void query(struct client *client)
{
    uint32_t picked[8];
    unsigned half = 1 + (unsigned)rng_below(&client->rng, 4);
    uint32_t account = (uint32_t)rng_below(&client->rng, ACCOUNTS);
    pick(&client->rng, picked, half, account * OWNED, OWNED);
    pick(&client->rng, picked + half, half, ACCOUNTS * OWNED, SHARED);
    if (client_query(client, picked, 2 * half))
        atomic_fetch_add(&client->world->done, 1);
    else
        reconnect(client); /* and forgets it: a query may be asked anew */
}

void *client_main(void *arg)
{
    struct client *client = arg;
    struct world *world = client->world;
    rng_init(&client->rng, world->seed * 1000 + client->index);
    client->life = atomic_load(&world->life);
    if (!link_open(&client->link, &world->node))
        fail("cannot connect");
    while (atomic_load(&world->done) < world->goal)
        if (rng_below(&client->rng, 100) < QUERY_SHARE) {
            query(client);
        } else {
            submit(client);
            resend(client);
        }
    link_close(&client->link);
    return NULL;
}

/* ---- setup ----------------------------------------------------------------------------------------------------------- */

/* Counters FIRST .. FIRST + COUNT, made by ACCOUNT out of nothing but gas. */
static void create(struct world *world, struct link *link, struct log *log, unsigned account,
                   uint32_t first, uint32_t count)
{
    static const uint8_t zero[8];
    static uint8_t bytes[SETUP_BYTES], wire[SETUP_BYTES + 98];
    static char text[(SETUP_BYTES + 98 + 2) / 3 * 4 + 1], params[sizeof text + 64];
    const struct svm_dev_account *signer = &world->accounts[account];
    struct svm_tx_builder *builder = svm_tx_builder_create(world->chain, &signer->address);
    struct svm_refusal why = {.reason = ""};
    struct svm_digest digest;
    size_t len, wire_len;
    svm_tx_builder_nonce(builder, UINT64_MAX - first);
    svm_tx_builder_gas_limit(builder, UINT64_C(1000000000));
    svm_tx_builder_expires(builder, wall_ms() + EXPIRY_MS);
    svm_tx_builder_owned_latest(builder, &signer->coin);
    for (uint32_t i = 0; i < count; i++) {
        struct svm_op op = {.kind = SVM_OP_CREATE};
        op.u.create.owner.kind = is_shared(first) ? SVM_KIND_SHARED : SVM_KIND_OWNED;
        if (!is_shared(first))
            op.u.create.owner.address = signer->address;
        op.u.create.type = (struct svm_bytes){(const uint8_t *)COUNTER, sizeof COUNTER - 1};
        op.u.create.data = (struct svm_bytes){zero, sizeof zero};
        svm_tx_builder_op(builder, &op);
    }
    if (svm_tx_builder_finish(builder, bytes, sizeof bytes, &len, &why) != SVM_OK ||
        svm_tx_sign(wire, sizeof wire, &wire_len, (struct svm_bytes){bytes, len}, &signer->key) !=
            SVM_OK)
        fail("cannot build the setup: %s", why.reason);
    svm_tx_builder_destroy(builder);
    svm_tx_digest(&digest, (struct svm_bytes){bytes, len});
    base64_encode(text, wire, wire_len);
    int params_len = snprintf(params, sizeof params, "{\"wait\":\"durable\",\"tx\":\"%s\"}", text);
    struct history_op *op = log_begin(log, CLIENTS, now_ns());
    json_t *answer = link_call(link, "tx_submit", params, (size_t)params_len);
    const json_t *receipt = json_object_get(answer, "result");
    if (!json_is_object(receipt) || strcmp(text_of(receipt, "status"), "durable") != 0)
        fail("the setup is refused: %s", json_dumps(answer, 0));
    op->returned = now_ns();
    op->position = 2 * number_of(receipt, "seq");
    log->lives[log->op_count - 1] = 0;
    const json_t *created = json_object_get(json_object_get(receipt, "effects"), "created");
    uint64_t version = number_of(json_array_get(created, 0), "version");
    for (uint32_t i = 0; i < count; i++) {
        svm_tx_new_object_id(&world->ids[first + i], &digest, (uint16_t)i);
        atomic_store(&world->known[first + i], version);
        log_write(log, first + i, version, 0);
    }
    json_decref(answer);
}

void world_create_objects(struct world *world, struct link *link, struct log *log)
{
    json_t *info = link_call(link, "node_info", "{}", 2);
    const json_t *chain = json_object_get(json_object_get(info, "result"), "chain");
    world->chain = number_of(chain, "id");
    json_decref(info);
    for (unsigned i = 0; i < ACCOUNTS; i++)
        svm_dev_account(&world->accounts[i], i);
    for (unsigned i = 0; i < ACCOUNTS; i++)
        create(world, link, log, i, i * OWNED, OWNED);
    create(world, link, log, 0, ACCOUNTS * OWNED, SHARED);
}

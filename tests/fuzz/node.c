#include "node.h"

#include "base/bytes.h"
#include <svm/tx.h>

enum { NODE_MS = 1767225600, TX_MAX = 2048 }; /* the clock, in seconds */

static uint64_t wall_ms(void *self)
{
    (void)self;
    return (uint64_t)NODE_MS * 1000;
}

static uint64_t boot_ns(void *self)
{
    (void)self;
    return 1000000000;
}

void node_open(struct node *node)
{
    char reason[256] = "";
    memset(node, 0, sizeof *node);
    node->clock = (struct clock){wall_ms, boot_ns, NULL};
    node->hooks.clock = &node->clock;
    svm_config_init(&node->config);
    node->config.durability = SVM_MEMORY;
    node->config.workers = 1;
    node->config.test_hooks = &node->hooks;
    FUZZ_CHECK(svm_engine_open(&node->engine, &node->config, NULL) == SVM_OK, "engine");
    gateway_config_init(&node->gateway_config);
    node->gateway_config.port = 0;
    node->gateway_config.dev = true;
    node->gateway_config.engine = &node->config;
    node->gateway_config.body_bytes_max = 64 * 1024;
    node->gateway_config.batch_items_max = 16;
    node->gateway_config.stream_items_max = 64;
    node->gateway_config.request_timeout_ms = 5000;
    FUZZ_CHECK(uv_loop_init(&node->loop) == 0, "loop");
    FUZZ_CHECK(gateway_open(&node->gateway, &node->gateway_config, node->engine, &node->loop,
                            reason, sizeof reason) == SVM_OK,
               "%s", reason);
}

/* ---- transactions -------------------------------------------------------------------------------------------- */

static uint64_t chain_of_dev(void)
{
    static uint64_t chain;
    if (chain == 0) {
        struct svm_config config;
        struct svm_engine *engine;
        struct svm_chain_info info;
        svm_config_init(&config);
        config.durability = SVM_MEMORY;
        FUZZ_CHECK(svm_engine_open(&engine, &config, NULL) == SVM_OK, "engine");
        svm_chain_info(engine, &info);
        chain = info.chain;
        svm_engine_close(engine);
    }
    return chain;
}

static void add_ops(struct svm_tx_builder *builder, const struct svm_dev_account *from,
                    const struct svm_dev_account *to, unsigned kind)
{
    struct svm_id id;
    char label[16];
    struct svm_op op = {.kind = SVM_OP_PAY};
    op.u.pay.amount.units = kind == 3 ? UINT64_MAX : 1 + kind; /* 3: executed, and fails */
    op.u.pay.to = to->address;
    op.input = (uint16_t)svm_tx_builder_owned_latest(builder, &from->coin);
    svm_tx_builder_op(builder, &op);
    if (kind == 1 || kind == 2) {
        svm_dev_object_id(&id, kind == 1 ? "counter" : "pool");
        op = (struct svm_op){.kind = SVM_OP_EXPECT};
        op.input = (uint16_t)svm_tx_builder_shared(builder, &id, kind == 1);
        op.u.expect.value = 1;
        if (kind == 1)
            op = (struct svm_op){.kind = SVM_OP_ADD, .input = op.input, .u.add = {.delta = 1}};
        svm_tx_builder_op(builder, &op);
    }
    if (kind == 4) {
        op = (struct svm_op){.kind = SVM_OP_CREATE};
        op.u.create.owner = (struct svm_owner){SVM_KIND_OWNED, to->address, false};
        op.u.create.type = (struct svm_bytes){(const uint8_t *)"note", 4};
        svm_tx_builder_op(builder, &op);
    }
    if (kind == 5) { /* a version that somebody else has, sooner or later */
        snprintf(label, sizeof label, "%s spare 0", from->name);
        svm_dev_object_id(&id, label);
        op = (struct svm_op){.kind = SVM_OP_TRANSFER};
        op.input = (uint16_t)svm_tx_builder_owned(builder, &id, 1);
        op.u.transfer.to = to->address;
        svm_tx_builder_op(builder, &op);
    }
}

/* make_tx: 0 pays, 1 counts, 2 looks at the pool, 3 fails, 4 creates, 5 takes an exact version, 6 has expired, 7 is of another
 * chain, 8 has a bad signature, 9 the sender of another. */
static size_t make_tx(uint8_t out[TX_MAX], unsigned kind, uint64_t nonce)
{
    struct svm_dev_account from, to;
    uint8_t bytes[TX_MAX];
    size_t len = 0, signed_len = 0;
    svm_dev_account(&from, (unsigned)(nonce % SVM_DEV_ACCOUNTS));
    svm_dev_account(&to, (unsigned)((nonce + 1) % SVM_DEV_ACCOUNTS));
    struct svm_tx_builder *builder = svm_tx_builder_create(kind == 7 ? 1 : chain_of_dev(),
                                                           kind == 9 ? &to.address : &from.address);
    FUZZ_CHECK(builder != NULL, "memory");
    svm_tx_builder_nonce(builder, nonce);
    svm_tx_builder_expires(builder, (uint64_t)NODE_MS * 1000 + (kind == 6 ? 0 : 60000));
    svm_tx_builder_gas_limit(builder, 10000);
    add_ops(builder, &from, &to, kind);
    FUZZ_CHECK(svm_tx_builder_finish(builder, bytes, sizeof bytes, &len, NULL) == SVM_OK, "%u",
               kind);
    svm_tx_builder_destroy(builder);
    FUZZ_CHECK(svm_tx_sign(out, TX_MAX, &signed_len, (struct svm_bytes){bytes, len}, &from.key) ==
                   SVM_OK,
               "%u", kind);
    out[signed_len - 1] ^= kind == 8;
    return signed_len;
}

static size_t put_id(char *out, unsigned kind)
{
    static const char *const labels[] = {"alice coin", "bob coin", "counter", "pool", "notice"};
    struct svm_dev_account account;
    struct svm_id id;
    svm_dev_account(&account, kind);
    if (kind < 5)
        svm_dev_object_id(&id, labels[kind]);
    else
        memcpy(id.b, account.address.b, 32);
    svm_hex32_format(out, id.b);
    return 66;
}

char *node_expand(size_t *len_out, const uint8_t *data, size_t size, uint64_t round)
{
    enum { TOKENS_MAX = 48, TOKEN_MAX = 4 * TX_MAX / 3 + 8 };
    uint8_t tx[TX_MAX];
    unsigned tokens = 0;
    char *out = malloc(size + TOKENS_MAX * TOKEN_MAX + 1);
    size_t len = 0;
    FUZZ_CHECK(out != NULL, "memory");
    for (size_t i = 0; i < size; i++) {
        const bool digit = i + 1 < size && data[i + 1] >= '0' && data[i + 1] <= '9';
        if (digit && tokens < TOKENS_MAX && data[i] == '$') {
            const size_t bytes = make_tx(tx, data[i + 1] - '0', round * TOKENS_MAX + tokens++);
            len += base64_encode(out + len, tx, bytes);
            i++;
        } else if (digit && tokens < TOKENS_MAX && data[i] == '#') {
            len += put_id(out + len, data[i + 1] - '0');
            tokens++;
            i++;
        } else {
            out[len++] = (char)data[i];
        }
    }
    *len_out = len;
    return out;
}

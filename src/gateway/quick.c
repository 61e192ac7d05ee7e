#include "gateway/quick.h"

#include <string.h>

#include "base/bytes.h"

enum { ID_DIGITS_MAX = 15, ID_BYTES_MAX = 64, TIMEOUT_DIGITS_MAX = 6, TIMEOUT_MS_MAX = 600000 };

static void skip_space(struct quick *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\n' || *in->at == '\t' || *in->at == '\r')) {
        in->at++;
    }
}

/* C and the white space around it. */
static bool take(struct quick *in, char c)
{
    skip_space(in);
    if (in->at == in->end || *in->at != c) {
        return false;
    }
    in->at++;
    skip_space(in);
    return true;
}

/* A string without its quotes, as it stands: whoever compares or decodes it will refuse escapes and control characters. */
static bool take_string(struct quick *in, struct svm_bytes *out)
{
    if (in->at == in->end || *in->at != '"') {
        return false;
    }
    const char *first = in->at + 1;
    const char *quote = memchr(first, '"', (size_t)(in->end - first));
    if (quote == NULL) {
        return false;
    }
    *out = (struct svm_bytes){.ptr = (const uint8_t *)first, .len = (size_t)(quote - first)};
    in->at = quote + 1;
    return true;
}

static bool is(struct svm_bytes string, const char *name)
{
    return string.len == strlen(name) && memcmp(string.ptr, name, string.len) == 0;
}

static bool take_integer(struct quick *in, size_t digits_max, uint64_t *out)
{
    const char *first = in->at;
    uint64_t value = 0;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9') {
        value = value * 10 + (unsigned)(*in->at - '0');
        if ((size_t)(++in->at - first) > digits_max) {
            return false;
        }
    }
    *out = value;
    return in->at > first && (*first != '0' || in->at == first + 1);
}

/* ---- members of a call ------------------------------------------------------------------------------------ */

static bool take_id(struct quick *in, struct arena *arena, const char **out)
{
    const char *first = in->at;
    struct svm_bytes string;
    uint64_t number;
    if (take_string(in, &string)) {
        for (size_t i = 0; i < string.len; i++) {
            const uint8_t c = string.ptr[i];
            if (c < ' ' || c > '~' || c == '\\') {
                return false;
            }
        }
    } else if (!take_integer(in, ID_DIGITS_MAX, &number)) {
        return false;
    }
    const size_t len = (size_t)(in->at - first);
    *out = len <= ID_BYTES_MAX ? arena_string(arena, first, len) : NULL;
    return *out != NULL;
}

static bool decode(struct svm_bytes *out, uint8_t *room, struct svm_bytes text)
{
    size_t len;
    if (!base64_decode(room, base64_bytes_max(text.len), &len, (const char *)text.ptr, text.len)) {
        return false;
    }
    *out = (struct svm_bytes){.ptr = room, .len = len};
    return true;
}

static bool take_tx(struct quick *in, struct arena *arena, struct rpc_tx_submit_params *params)
{
    struct svm_bytes text;
    if (!take_string(in, &text)) {
        return false;
    }
    uint8_t *room = arena_get(arena, base64_bytes_max(text.len));
    return room != NULL && decode(&params->tx, room, text);
}

/* Room for one more of COUNT. */
static struct svm_bytes *grow(struct arena *arena, struct svm_bytes *txs, size_t count, size_t *cap)
{
    if (count < *cap) {
        return txs;
    }
    *cap = count == 0 ? 128 : 4 * count;
    struct svm_bytes *grown = arena_get(arena, *cap * sizeof *grown);
    if (grown != NULL && count > 0) {
        memcpy(grown, txs, count * sizeof *grown);
    }
    return grown;
}

static bool take_txs(struct quick *in, struct arena *arena, size_t items_max,
                     struct rpc_tx_submit_batch_params *params)
{
    struct svm_bytes *txs = NULL, text;
    size_t count = 0, cap = 0;
    /* no base64 has a bracket: the list ends at the first */
    const char *stop = memchr(in->at, ']', (size_t)(in->end - in->at));
    if (stop == NULL || !take(in, '[')) {
        return false;
    }
    uint8_t *room = arena_get(arena, base64_bytes_max((size_t)(stop - in->at) + 3));
    bool more = in->at < stop;
    if (room == NULL || (!more && !take(in, ']'))) {
        return false;
    }
    while (more) {
        txs = grow(arena, txs, count, &cap);
        if (txs == NULL || count == items_max || !take_string(in, &text) ||
            (const char *)text.ptr + text.len > stop || !decode(&txs[count], room, text) ||
            !quick_more(in, &more)) {
            return false;
        }
        room += txs[count++].len;
    }
    params->txs = txs;
    params->txs_count = count;
    return true;
}

static bool take_wait(struct quick *in, enum rpc_wait *out)
{
    static const char *const names[] = {"none", "executed", "durable"};
    struct svm_bytes string;
    if (!take_string(in, &string)) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (is(string, names[i])) {
            *out = (enum rpc_wait)i;
            return true;
        }
    }
    return false;
}

static bool take_timeout(struct quick *in, uint64_t *out)
{
    return take_integer(in, TIMEOUT_DIGITS_MAX, out) && *out >= 1 && *out <= TIMEOUT_MS_MAX;
}

/* ---- objects ---------------------------------------------------------------------------------------------- */

enum member {
    MEMBER_TX = 1,
    MEMBER_TXS = 2,
    MEMBER_WAIT = 4,
    MEMBER_TIMEOUT = 8,
    MEMBER_VERSION = 16,
    MEMBER_ID = 32,
    MEMBER_METHOD = 64,
    MEMBER_PARAMS = 128
};

struct call {
    struct quick_call *out;
    struct arena *arena;
    size_t items_max;
    unsigned seen;
    struct svm_bytes method;
    struct rpc_tx_submit_params single; /* wait and timeoutMs of either method */
    struct rpc_tx_submit_batch_params batch;
};

static unsigned member_of(struct svm_bytes name, bool in_params)
{
    static const struct {
        const char *name;
        unsigned member;
    } members[] = {{"tx", MEMBER_TX},           {"txs", MEMBER_TXS},
                   {"wait", MEMBER_WAIT},       {"timeoutMs", MEMBER_TIMEOUT},
                   {"jsonrpc", MEMBER_VERSION}, {"id", MEMBER_ID},
                   {"method", MEMBER_METHOD},   {"params", MEMBER_PARAMS}};
    for (size_t i = in_params ? 0 : 4; i < (in_params ? 4u : 8u); i++) {
        if (is(name, members[i].name)) {
            return members[i].member;
        }
    }
    return 0;
}

static bool take_object(struct quick *in, struct call *call, bool is_params);

static bool take_member(struct quick *in, struct call *call, unsigned member)
{
    struct svm_bytes string;
    switch (member) {
    case MEMBER_TX:
        return take_tx(in, call->arena, &call->single);
    case MEMBER_TXS:
        return take_txs(in, call->arena, call->items_max, &call->batch);
    case MEMBER_WAIT:
        return take_wait(in, &call->single.wait);
    case MEMBER_TIMEOUT:
        call->single.has_timeout_ms = true;
        return take_timeout(in, &call->single.timeout_ms);
    case MEMBER_VERSION:
        return take_string(in, &string) && is(string, "2.0");
    case MEMBER_ID:
        return take_id(in, call->arena, &call->out->id);
    case MEMBER_METHOD:
        return take_string(in, &call->method);
    case MEMBER_PARAMS:
        return take_object(in, call, true);
    default:
        return false;
    }
}

/* An object that is not empty, each member once. */
static bool take_object(struct quick *in, struct call *call, bool is_params)
{
    if (!take(in, '{')) {
        return false;
    }
    for (;;) {
        struct svm_bytes name;
        if (!take_string(in, &name) || !take(in, ':')) {
            return false;
        }
        const unsigned member = member_of(name, is_params);
        if ((call->seen & member) != 0 || !take_member(in, call, member)) {
            return false;
        }
        call->seen |= member;
        if (!take(in, ',')) {
            return take(in, '}');
        }
    }
}

bool quick_call_parse(struct quick_call *out, struct arena *arena, struct quick *in,
                      size_t items_max)
{
    struct call call = {
        .out = out, .arena = arena, .items_max = items_max, .single.wait = RPC_WAIT_DURABLE};
    const unsigned needed = MEMBER_VERSION | MEMBER_ID | MEMBER_METHOD | MEMBER_PARAMS;
    if (!take_object(in, &call, false) || (call.seen & needed) != needed) {
        return false;
    }
    const unsigned txs = call.seen & (MEMBER_TX | MEMBER_TXS);
    if (txs == MEMBER_TX && is(call.method, "tx_submit")) {
        out->is_batch = false;
        out->method = "tx_submit";
        out->params.single = call.single;
        return true;
    }
    if (txs == MEMBER_TXS && is(call.method, "tx_submitBatch")) {
        out->is_batch = true;
        out->method = "tx_submitBatch";
        out->params.batch = (struct rpc_tx_submit_batch_params){
            .txs = call.batch.txs,
            .txs_count = call.batch.txs_count,
            .wait = call.single.wait,
            .timeout_ms = call.single.timeout_ms,
            .has_timeout_ms = call.single.has_timeout_ms,
        };
        return true;
    }
    return false;
}

bool quick_is_array(struct quick *in)
{
    return take(in, '[');
}

bool quick_more(struct quick *in, bool *more_out)
{
    *more_out = take(in, ',');
    return *more_out || take(in, ']');
}

bool quick_is_end(struct quick *in)
{
    skip_space(in);
    return in->at == in->end;
}

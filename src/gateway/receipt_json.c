#include "gateway/receipt_json.h"

#include <string.h>

#include "base/bytes.h"

/* Upper bounds of what is written, gaps and all. */
enum { RECEIPT_BYTES = 512, CHANGE_BYTES = 256, CHANGES_MAX = 1024 };

#define PUT(at, literal) put((at), (literal), sizeof(literal) - 1)

static char *put(char *at, const char *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

static char *put_hex(char *at, const uint8_t bytes[32])
{
    hex_encode(at, bytes, 32); /* and a NUL, which the next piece covers */
    return at + 64;
}

static char *put_number(char *at, uint64_t value)
{
    char digits[20];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put(at, digits + first, sizeof digits - first);
}

static const char *status_name(enum rpc_status status)
{
    return status == RPC_STATUS_DURABLE ? "durable" : "executed";
}

static const char *path_name(enum rpc_path path)
{
    return path == RPC_PATH_FAST ? "fast" : path == RPC_PATH_CONSENSUS ? "consensus" : "private";
}

static const char *kind_name(enum rpc_kind kind)
{
    return kind == RPC_KIND_OWNED ? "owned" : kind == RPC_KIND_SHARED ? "shared" : "immutable";
}

static char *put_name(char *at, const char *name)
{
    return put(at, name, strlen(name));
}

static char *put_change(char *at, const struct rpc_change *change)
{
    at = PUT(at, "{\"id\":\"0x");
    at = put_hex(at, change->id.b);
    at = PUT(at, "\",\"version\":\"");
    at = put_number(at, change->version);
    at = PUT(at, "\",\"kind\":\"");
    at = put_name(at, kind_name(change->kind));
    if (!change->has_owner) {
        return PUT(at, "\",\"owner\":null}");
    }
    at = PUT(at, "\",\"owner\":\"0x");
    at = put_hex(at, change->owner.b);
    return PUT(at, "\"}");
}

static char *put_changes(char *at, const struct rpc_change *changes, size_t count)
{
    *at++ = '[';
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            *at++ = ',';
        }
        at = put_change(at, &changes[i]);
    }
    *at++ = ']';
    return at;
}

static char *put_effects(char *at, const struct rpc_effects *effects)
{
    at = PUT(at, "{\"created\":");
    at = put_changes(at, effects->created, effects->created_count);
    at = PUT(at, ",\"mutated\":");
    at = put_changes(at, effects->mutated, effects->mutated_count);
    at = PUT(at, ",\"deleted\":");
    at = put_changes(at, effects->deleted, effects->deleted_count);
    *at++ = '}';
    return at;
}

static bool is_usual(const struct rpc_receipt *receipt)
{
    const bool executed =
        receipt->status == RPC_STATUS_EXECUTED || receipt->status == RPC_STATUS_DURABLE;
    return executed && receipt->has_path && receipt->has_seq && receipt->has_gas_used &&
           receipt->has_latency_us && receipt->has_effects && !receipt->has_fallback &&
           !receipt->has_failure && !receipt->has_sender && !receipt->has_executed_ms;
}

bool receipt_json_write(struct text *text, const struct rpc_receipt *receipt)
{
    const struct rpc_effects *effects = &receipt->effects;
    if (!is_usual(receipt) || effects->created_count > CHANGES_MAX ||
        effects->mutated_count > CHANGES_MAX || effects->deleted_count > CHANGES_MAX) {
        return false;
    }
    const size_t need =
        RECEIPT_BYTES +
        CHANGE_BYTES * (effects->created_count + effects->mutated_count + effects->deleted_count);
    if (text->overflow || text->limit - text->len < need || !text_room(text, need)) {
        return false;
    }
    char *at = text->ptr + text->len;
    at = PUT(at, "{\"digest\":\"0x");
    at = put_hex(at, receipt->digest.b);
    at = PUT(at, "\",\"status\":\"");
    at = put_name(at, status_name(receipt->status));
    at = receipt->duplicate ? PUT(at, "\",\"duplicate\":true,\"path\":\"")
                            : PUT(at, "\",\"duplicate\":false,\"path\":\"");
    at = put_name(at, path_name(receipt->path));
    at = PUT(at, "\",\"fallback\":null,\"seq\":\"");
    at = put_number(at, receipt->seq);
    at = PUT(at, "\",\"durableSeq\":\"");
    at = put_number(at, receipt->durable_seq);
    at = PUT(at, "\",\"gasUsed\":\"");
    at = put_number(at, receipt->gas_used);
    at = PUT(at, "\",\"latencyUs\":");
    at = put_number(at, receipt->latency_us);
    at = PUT(at, ",\"failure\":null,\"effects\":");
    at = put_effects(at, effects);
    *at++ = '}';
    text->len = (size_t)(at - text->ptr);
    return true;
}

#include "engine/internal.h"

/* Is there room for more, and if not, for what makes room?
 *
 * A disk frees itself: retention, the operator. In memory mode nobody does but the clients, so over cache.bytes the node goes on taking
 * what leaves less than it finds (ROOM_TO_FREE). What that costs for a while, versions that a snapshot still keeps, is bounded by a
 * second line: an eighth of cache.bytes above what was taken when the node had last nothing to collect (`room_base`). It moves with what is taken, so
 * that a node which has shot past any fixed line can be emptied as well. */

enum { RESERVE_PART = 8 };

/* Their table counts too: a twenty-fourth part of what is allowed for the setting it was made for. Should that be much less by now, it must not be all
 * of it: that would be never to be mended. */
static bool receipts_no_room(struct svm_engine *engine)
{
    const uint64_t most = RECEIPTS_MEMORY_FACTOR * config_of(engine)->tx_dedupe_bytes;
    const uint64_t table = receipts_table_bytes(engine->receipts);
    return receipts_bytes(engine->receipts) + (table < most / 8 ? table : most / 8) > most;
}

static enum engine_room room_in_memory(struct svm_engine *engine)
{
    const uint64_t cache = config_of(engine)->cache_bytes;
    const struct table_sums tables = stats_tables(engine);
    const uint64_t taken = tables.bytes + owners_bytes(engine->owners);
    if (taken <= cache)
        engine->room_base = 0;
    else if (engine->room_base == 0 || taken < engine->room_base || tables.garbage == 0)
        engine->room_base = taken;
    if (receipts_no_room(engine))
        return ROOM_NO_RECEIPTS;
    if (taken <= cache)
        return ROOM_ENOUGH;
    return taken > engine->room_base + cache / RESERVE_PART ? ROOM_UNCOLLECTED : ROOM_TO_FREE;
}

/* On a disk there is some way to go before writes are taken again. */
static enum engine_room room_on_disk(struct svm_engine *engine, enum engine_room was)
{
    uint64_t min = config_of(engine)->disk_free_min_bytes;
    uint64_t wanted = was == ROOM_ENOUGH ? min : min + min / 8;
    return store_disk_free(engine->store) < wanted ? ROOM_NO_DISK : ROOM_ENOUGH;
}

const char *room_reason(enum engine_room room)
{
    switch (room) {
    case ROOM_ENOUGH:
        return "";
    case ROOM_TO_FREE:
        return "objects and cells exceed cache.bytes: delete or shrink some, nothing else is taken";
    case ROOM_UNCOLLECTED:
        return "snapshots keep too much beyond cache.bytes: nothing is taken until it is collected "
               "(gc.enabled)";
    case ROOM_NO_RECEIPTS:
        return "receipts exceed tx.dedupe_bytes: nothing is taken until some have expired";
    case ROOM_NO_DISK:
        return "the disk has less than storage.disk_free_min free";
    }
    return "";
}

void room_watch(struct svm_engine *engine)
{
    enum engine_room was = room_now(engine);
    enum engine_room is = engine->memory ? room_in_memory(engine) : room_on_disk(engine, was);
    if (is == was)
        return;
    atomic_store(&engine->room, (uint8_t)is);
    if (is == ROOM_ENOUGH)
        engine_log(engine, SVM_LOG_INFO, "storage.writable",
                   "there is room: writes are taken again");
    else
        engine_log(engine, SVM_LOG_WARN, "storage.read_only", "no room: %s", room_reason(is));
}

void room_refuse(struct svm_refusal *refusal, enum engine_room room)
{
    refusal_because(refusal, SVM_E_STORAGE_READ_ONLY, "no room: %s", room_reason(room));
    refusal->retry_after_ms = 1000;
}

bool room_may_free(const struct svm_tx *tx)
{
    for (uint16_t i = 0; i < tx->op_count; i++)
        if (tx->ops[i].kind == SVM_OP_DELETE || tx->ops[i].kind == SVM_OP_UPDATE)
            return true;
    return false;
}

#include "app/options.h"

#include <stddef.h>

#define KIB         ((uint64_t)1 << 10)
#define MIB         ((uint64_t)1 << 20)
#define GIB         ((uint64_t)1 << 30)
#define TIB         ((uint64_t)1 << 40)
#define SECOND      ((uint64_t)1000)
#define MINUTE      (60 * SECOND)
#define HOUR        (60 * MINUTE)
#define DAY_SECONDS ((uint64_t)86400)

#define MEMBER(m) offsetof(struct options, m), sizeof(((struct options *)0)->m)

/* {name, flag, type, member, min, max, default, choices, reloadable, why} */
#define TEXT(name, flag, type, m, initial, reload, why)                                            \
    {                                                                                              \
        name, flag, type, MEMBER(m), 0, 0, initial, NULL, reload, why                              \
    }
#define NUMBER(name, type, m, min, max, initial, reload, why)                                      \
    {                                                                                              \
        name, NULL, type, MEMBER(m), min, max, initial, NULL, reload, why                          \
    }
#define CHOICE(name, flag, m, initial, choices, reload, why)                                       \
    {                                                                                              \
        name, flag, OPTION_CHOICE, MEMBER(m), 0, 0, initial, choices, reload, why                  \
    }
#define YES true
#define NO  false

const struct option options_table[] = {
    /* ---- node ---- */
    TEXT("node.dev", "dev", OPTION_BOOL, node.dev, "off", NO,
         "Development chain: built-in genesis, public keys, dev_ methods; without a data directory "
         "the state is in memory and vanishes on exit."),
    TEXT("node.datadir", "datadir", OPTION_PATH, node.datadir, "", NO,
         "Where the log and the state live. One process at a time."),
    TEXT("node.genesis", "genesis", OPTION_PATH, node.genesis, "", NO,
         "The genesis file; its hash is the chain id. Needed unless node.dev is on."),
    CHOICE("node.durability", "durability", engine.durability, "sync", "memory|write|sync|interval",
           NO,
           "What `durable` promises: nothing, written, synced before the answer, synced within "
           "node.durability_interval."),
    NUMBER("node.durability_interval", OPTION_MS, engine.durability_interval_ms, 1, MINUTE, "10ms",
           NO, "With durability = interval: longest time between two fsyncs."),
    NUMBER("node.drain_timeout", OPTION_MS, node.drain_timeout_ms, SECOND, HOUR, "30s", YES,
           "At a stop, open connections get this long to take their answers."),
    NUMBER("node.clock_jump_max", OPTION_MS, engine.clock_jump_max_ms, SECOND, 24 * HOUR, "60s", NO,
           "Admission stops when the wall clock leaps further ahead than this: node time never "
           "goes back."),
    /* ---- rpc ---- */
    TEXT("rpc.listen", "listen", OPTION_ADDRESS, node.listen, "127.0.0.1:7878", NO,
         "Address of JSON-RPC over HTTP. Port 0 takes a free one."),
    TEXT("rpc.listen_public_confirm", "listen-public-confirm", OPTION_BOOL, node.listen_public,
         "off", NO,
         "Must be on for an address that is not loopback: the API has no authentication of its "
         "own."),
    TEXT("rpc.socket", "rpc-socket", OPTION_PATH, node.socket, "", NO,
         "Unix socket, the only place of the admin_ methods. Empty = supervmd.sock in the data "
         "directory; none = no socket."),
    NUMBER("rpc.connections_max", OPTION_COUNT, gateway.connections_max, 1, 65536, "1024", NO,
           "Connections at once, per listener."),
    NUMBER("rpc.header_bytes_max", OPTION_BYTES, gateway.header_bytes_max, 4 * KIB, MIB, "32KiB",
           NO, "Request line and headers of one request."),
    NUMBER("rpc.body_bytes_max", OPTION_BYTES, gateway.body_bytes_max, KIB, GIB, "5MiB", YES,
           "Body of one request."),
    NUMBER("rpc.response_bytes_max", OPTION_BYTES, gateway.response_bytes_max, 64 * KIB, GIB,
           "16MiB", YES,
           "Body of one response; beyond it RESPONSE_TOO_LARGE. Unread ones: 16 of these in all."),
    NUMBER("rpc.batch_items_max", OPTION_COUNT, gateway.batch_items_max, 1, 100000, "1000", YES,
           "Calls of one JSON-RPC batch; transactions of one tx_submitBatch."),
    NUMBER("rpc.stream_items_max", OPTION_COUNT, gateway.stream_items_max, 1, 1000000, "16384", YES,
           "Transactions of one POST /v1/tx."),
    NUMBER("rpc.calls_max", OPTION_COUNT, gateway.calls_max, 1, MIB, "16384", YES,
           "Calls in flight over all connections; beyond it OVERLOADED."),
    NUMBER("rpc.blocking_max", OPTION_COUNT, gateway.blocking_max, 1, 65536, "4096", YES,
           "Of them, calls that may touch the disk."),
    NUMBER("rpc.idle_timeout", OPTION_MS, gateway.idle_timeout_ms, SECOND, HOUR, "75s", NO,
           "A connection without traffic is closed after this time, whole seconds; a request that "
           "is not whole, or a reply not taken, after twice as long."),
    NUMBER("rpc.request_timeout", OPTION_MS, gateway.request_timeout_ms, 1, HOUR, "30s", YES,
           "Longest and default wait of tx_submit, tx_wait and their like."),
    TEXT("rpc.hosts", NULL, OPTION_LIST, node.hosts, "", YES,
         "Names accepted in the Host header besides localhost and address literals; * = any."),
    TEXT("rpc.cors_origins", NULL, OPTION_LIST, node.cors_origins, "", YES,
         "Origins of web pages that may call, exact; * = any; empty = none."),
    NUMBER("rpc.socket_mode", OPTION_MODE, gateway.unix_mode, 0, 0777, "0660", NO,
           "File mode of the unix socket: who may administer the node."),
    /* ---- engine ---- */
    NUMBER("engine.workers", OPTION_COUNT, engine.workers, 0, 64, "0", NO,
           "Worker threads; 0 = one per core."),
    NUMBER("engine.inflight_max", OPTION_COUNT, engine.inflight_max, 64, MIB, "16384", NO,
           "Transactions admitted and not finished, a power of two; beyond it OVERLOADED."),
    NUMBER("engine.object_queue_max", OPTION_COUNT, engine.object_queue_max, 1, MIB, "8192", YES,
           "Transactions waiting in order for one object; beyond it BUSY."),
    NUMBER("engine.busy_attempts_max", OPTION_COUNT, engine.busy_attempts_max, 1, 1000000, "1000",
           YES, "Attempts against an object that others hold before BUSY."),
    NUMBER("engine.waiters_max", OPTION_COUNT, engine.waiters_max, 1, MIB, "16384", NO,
           "Duplicates and tx_wait calls waiting at once."),
    TEXT("engine.verify_signatures", NULL, OPTION_BOOL, engine.verify_signatures, "on", NO,
         "Off only for measurements of the engine alone, and only with node.dev."),
    /* ---- transactions ---- */
    NUMBER("tx.bytes_max", OPTION_BYTES, engine.tx_bytes_max, KIB, SVM_TX_BYTES_MAX, "128KiB", YES,
           "Largest signed transaction."),
    NUMBER("tx.inputs_max", OPTION_COUNT, engine.tx_inputs_max, 1, SVM_TX_INPUTS_MAX, "256", YES,
           "Inputs of one transaction."),
    NUMBER("tx.ops_max", OPTION_COUNT, engine.tx_ops_max, 1, SVM_TX_OPS_MAX, "256", YES,
           "Operations of one transaction."),
    NUMBER("tx.data_bytes_max", OPTION_BYTES, engine.tx_data_bytes_max, 1, SVM_DATA_BYTES_MAX,
           "64KiB", YES, "Data of one object."),
    NUMBER("tx.effects_bytes_max", OPTION_BYTES, engine.tx_effects_bytes_max, 64 * KIB, MIB, "1MiB",
           NO, "What one transaction may write; checked before it is ordered."),
    NUMBER("tx.expiry_max", OPTION_MS, engine.tx_expiry_max_ms, SECOND, 24 * HOUR, "10m", YES,
           "How far ahead a transaction may expire."),
    NUMBER("tx.dedupe_bytes", OPTION_BYTES, engine.tx_dedupe_bytes, MIB, TIB, "64MiB", YES,
           "Receipts kept in memory to answer resubmissions."),
    /* ---- memory and disk ---- */
    NUMBER("cache.bytes", OPTION_BYTES, engine.cache_bytes, MIB, 64 * TIB, "512MiB", YES,
           "Objects and cells kept in memory once they are on disk."),
    NUMBER("storage.block_cache", OPTION_BYTES, engine.block_cache_bytes, 8 * MIB, TIB, "64MiB", NO,
           "Blocks of the state database's files kept in memory once read, with its indexes and "
           "filters."),
    NUMBER("storage.dirty_bytes_max", OPTION_BYTES, engine.dirty_bytes_max, MIB, TIB, "512MiB", YES,
           "Log not yet folded into the state; beyond it OVERLOADED, and commits are slowed down "
           "well before."),
    NUMBER("storage.disk_free_min", OPTION_BYTES, engine.disk_free_min_bytes, 0, 64 * TIB, "1GiB",
           YES, "Free space below which writes are refused and reads still served."),
    NUMBER("receipts.seconds", OPTION_SECONDS, engine.receipts_seconds, 1, 36500 * DAY_SECONDS,
           "24h", YES, "How long receipts are kept; never shorter than tx.expiry_max."),
    NUMBER("history.versions", OPTION_COUNT, engine.history_versions, 0, MIB, "0", YES,
           "Older versions of an object kept on disk besides the newest; 0 = no history."),
    NUMBER("history.seconds", OPTION_SECONDS, engine.history_seconds, 0, 36500 * DAY_SECONDS, "7d",
           YES, "How long older versions are kept."),
    /* ---- garbage collection ---- */
    NUMBER("gc.enabled", OPTION_BOOL, engine.gc_enabled, 0, 1, "on", YES,
           "Collect versions nobody can see."),
    NUMBER("gc.adaptive", OPTION_BOOL, engine.gc_adaptive, 0, 1, "on", YES,
           "Move interval and threshold with the rate of garbage, between their bounds."),
    NUMBER("gc.interval", OPTION_MS, engine.gc_interval_ms, 1, HOUR, "10ms", YES,
           "Time between two runs; the start value when adaptive."),
    NUMBER("gc.interval_min", OPTION_MS, engine.gc_interval_min_ms, 1, HOUR, "1ms", YES,
           "Lower bound of the adaptive interval."),
    NUMBER("gc.interval_max", OPTION_MS, engine.gc_interval_max_ms, 1, HOUR, "1s", YES,
           "Upper bound of the adaptive interval."),
    NUMBER("gc.threshold", OPTION_COUNT, engine.gc_threshold, 1, 1000000000, "10000", YES,
           "Versions of garbage that start a run; the start value when adaptive."),
    NUMBER("gc.threshold_min", OPTION_COUNT, engine.gc_threshold_min, 1, 1000000000, "1000", YES,
           "Lower bound of the adaptive threshold."),
    NUMBER("gc.threshold_max", OPTION_COUNT, engine.gc_threshold_max, 1, 1000000000, "100000", YES,
           "Upper bound of the adaptive threshold."),
    NUMBER("gc.snapshot_age_max", OPTION_MS, engine.gc_snapshot_age_max_ms, 100, HOUR, "30s", YES,
           "A snapshot that lives longer is cancelled: bounded memory beats a stuck query."),
    /* ---- interactive transactions ---- */
    NUMBER("sessions.max", OPTION_COUNT, engine.sessions_max, 1, 65536, "256", NO,
           "Interactive transactions open at once; they and snapshots together: 256 more."),
    NUMBER("cells.value_bytes_max", OPTION_BYTES, engine.cell_value_bytes_max, 1, 16 * MIB, "64KiB",
           YES, "Value of one cell."),
    NUMBER("cells.attempts_max", OPTION_COUNT, engine.cell_attempts_max, 1, 1000000, "256", YES,
           "Attempts of a defeated interactive transaction before RETRIES_EXHAUSTED."),
    /* ---- log ---- */
    CHOICE("log.level", "log-level", node.log_level, "info", "error|warn|info|debug", YES,
           "The least urgent lines that are written."),
    CHOICE("log.format", "log-format", node.log_format, "text", "text|json", YES,
           "How a line looks. Under systemd lines get priorities either way."),
    NUMBER("log.repeats_max", OPTION_COUNT, node.log_repeats_max, 0, 1000000, "20", YES,
           "Lines of one event per log.repeats_window; further ones are counted. 0 = all."),
    NUMBER("log.repeats_window", OPTION_MS, node.log_repeats_window_ms, SECOND, HOUR, "10s", YES,
           "The window of log.repeats_max."),
};

const unsigned options_count = sizeof options_table / sizeof options_table[0];
_Static_assert(sizeof options_table / sizeof options_table[0] <= OPTIONS_MAX, "raise OPTIONS_MAX");

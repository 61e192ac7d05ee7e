/* bench/load_set.h - signed transactions made before a measurement begins, so that signing is no part of it.
 *
 *      setup frames  make `objects` counters, owned by `accounts` keys in turn, out of one chain of alice's coin
 *      transactions  number I adds 1 to counter I mod objects, at the exact version that round I / objects finds
 *
 * Nothing in a set expires and everything follows from its spec: it is played once on a fresh development node, on any machine.
 * A set may lie in a file and is mapped from there. Thread: the main thread; making it uses one per core. */
#ifndef BENCH_LOAD_SET_H
#define BENCH_LOAD_SET_H

#include <svm.h>

struct load_spec {
    uint64_t chain;
    uint64_t seed;
    uint32_t objects, count, accounts;
};

struct load_set {
    struct load_spec spec;
    uint32_t tx_bytes; /* each of the timed transactions */
    uint32_t setup_count;
    size_t setup_bytes;
    const uint8_t *setup;  /* frames: u32 LE length, SignedTransaction */
    const uint8_t *frames; /* `count` frames of 4 + tx_bytes */
    uint8_t *map;          /* own: the whole, as in the file */
    size_t map_bytes;
    struct svm_id *ids;  /* own: of the counters */
    uint32_t text_bytes; /* of one transaction as JSON: "base64", */
    char *text;          /* own; NULL until load_set_text */
};

/* load_set_open: the set of SPEC, from the file PATH when that holds it, else made, and written to PATH unless NULL. Says on
 * stderr what takes its time. */
void load_set_open(struct load_set *set, const struct load_spec *spec, const char *path);
void load_set_close(struct load_set *set);

/* load_set_text: the JSON texts of the transactions, for load_set_json. */
void load_set_text(struct load_set *set);

/* load_set_frame: transaction INDEX with its length in front. load_set_json: as a JSON string, a comma behind it. */
static inline const uint8_t *load_set_frame(const struct load_set *set, uint32_t index)
{
    return set->frames + (size_t)index * (4 + set->tx_bytes);
}

static inline const char *load_set_json(const struct load_set *set, uint32_t index)
{
    return set->text + (size_t)index * set->text_bytes;
}

#endif

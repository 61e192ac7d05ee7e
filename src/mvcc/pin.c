#include "mvcc/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

/* Snapshots against the collector, after Dekker: each stores, then looks at what the other stores.
 *
 *     reader                                  G (mvcc_floor_advance)
 *     slot = s         (s = applied)          pending = H         (H = applied)
 *     h = pending                             read the slots
 *     h > s: take s anew, again               publish the floor {H, pins}
 *
 * All four are sequentially consistent, so G sees the slot or the reader sees H. In the second case either s >= H: then nothing
 * that this floor lets go is of use to s (the successor began at or before H <= s). Or the reader takes s anew, and finds
 * applied >= H: G had read it from there before it stored pending. The next advance sees the slot, as the reader's look found an
 * older pending than that advance stores.
 *
 * A slot that is being taken (UINT64_MAX) is passed over by G: its snapshot does not stand yet, its reader will look later.
 *
 * Cancellation is one number, oldest_ms: a pin dated before it is cancelled, G passes over it and its owner learns it when it asks.
 * A version goes only through a floor that was published after oldest_ms; a reader that misses the version has seen the unlinking,
 * hence the floor, hence oldest_ms. So asking after reading is enough. G reads a slot's word before its date: with an old
 * word and the date of its next owner it keeps a pin too much, never one too few. */

#define WORD_FREE   0u
#define WORD_TAKING UINT64_MAX

bool mvcc_pins_init(struct mvcc_pins *pins, uint32_t pins_max)
{
    SVM_ASSERT(pins_max > 0);
    pins->slots = aligned_alloc(64, pins_max * sizeof(struct mvcc_pin_slot));
    if (pins->slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < pins_max; i++) {
        atomic_init(&pins->slots[i].word, WORD_FREE);
        atomic_init(&pins->slots[i].date_ms, 0);
    }
    pins->max = pins_max;
    atomic_init(&pins->high, 0);
    atomic_init(&pins->pending, 0);
    atomic_init(&pins->oldest_ms, 0);
    atomic_init(&pins->floor_min, 0);
    atomic_init(&pins->floor, NULL);
    return true;
}

void mvcc_pins_deinit(struct mvcc_pins *pins)
{
    free(atomic_load_explicit(&pins->floor, memory_order_relaxed));
    free(pins->slots);
}

/* ---- readers ------------------------------------------------------------------------------------------------ */

static bool slot_try_take(struct mvcc_pins *pins, uint32_t i)
{
    struct mvcc_pin_slot *slot = &pins->slots[i];
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    if (word != WORD_FREE ||
        !atomic_compare_exchange_strong_explicit(&slot->word, &word, WORD_TAKING,
                                                 memory_order_acquire, memory_order_relaxed)) {
        return false;
    }
    uint32_t high = atomic_load_explicit(&pins->high, memory_order_seq_cst);
    while (high <= i &&
           !atomic_compare_exchange_weak_explicit(&pins->high, &high, i + 1, memory_order_seq_cst,
                                                  memory_order_seq_cst)) {
    }
    return true;
}

static struct mvcc_pin_slot *slot_take(struct mvcc_pins *pins, uint32_t *index_out)
{
    for (uint32_t i = 0; i < pins->max; i++) {
        if (slot_try_take(pins, i)) {
            *index_out = i;
            return &pins->slots[i];
        }
    }
    return NULL;
}

static void pin_take(struct mvcc *mvcc, struct mvcc_pin_slot *slot, uint64_t now_ms,
                     struct mvcc_pin *pin_out)
{
    struct mvcc_pins *pins = &mvcc->pins;
    atomic_store_explicit(&slot->date_ms, now_ms, memory_order_release);
    for (;;) {
        uint64_t seq = mvcc_applied(mvcc);
        FAULT_POINT("mvcc.pin.before");
        atomic_store_explicit(&slot->word, seq + 1, memory_order_seq_cst);
        FAULT_POINT("mvcc.pin.stored");
        if (atomic_load_explicit(&pins->pending, memory_order_seq_cst) <= seq) {
            pin_out->seq = seq;
            return;
        }
    }
}

bool mvcc_pin(struct mvcc *mvcc, uint64_t now_ms, struct mvcc_pin *pin_out)
{
    struct mvcc_pin_slot *slot = slot_take(&mvcc->pins, &pin_out->slot);
    if (slot == NULL) {
        return false;
    }
    pin_take(mvcc, slot, now_ms, pin_out);
    return true;
}

bool mvcc_pin_again(struct mvcc *mvcc, uint64_t now_ms, struct mvcc_pin *pin)
{
    if (pin->slot >= mvcc->pins.max || !slot_try_take(&mvcc->pins, pin->slot)) {
        return mvcc_pin(mvcc, now_ms, pin);
    }
    pin_take(mvcc, &mvcc->pins.slots[pin->slot], now_ms, pin);
    return true;
}

void mvcc_unpin(struct mvcc *mvcc, const struct mvcc_pin *pin)
{
    struct mvcc_pin_slot *slot = &mvcc->pins.slots[pin->slot];
    SVM_ASSERT(pin->slot < mvcc->pins.max);
    SVM_ASSERT(atomic_load_explicit(&slot->word, memory_order_relaxed) == pin->seq + 1);
    atomic_store_explicit(&slot->word, WORD_FREE, memory_order_release);
}

bool mvcc_pin_cancelled(const struct mvcc *mvcc, const struct mvcc_pin *pin)
{
    const struct mvcc_pin_slot *slot = &mvcc->pins.slots[pin->slot];
    uint64_t date_ms = atomic_load_explicit(&slot->date_ms, memory_order_relaxed);
    return date_ms < atomic_load_explicit(&mvcc->pins.oldest_ms, memory_order_acquire);
}

uint32_t mvcc_pins_open(const struct mvcc *mvcc)
{
    uint32_t open = 0;
    uint32_t high = atomic_load_explicit(&mvcc->pins.high, memory_order_acquire);
    for (uint32_t i = 0; i < high; i++) {
        open += atomic_load_explicit(&mvcc->pins.slots[i].word, memory_order_relaxed) != WORD_FREE;
    }
    return open;
}

/* ---- the collector ------------------------------------------------------------------------------------------ */

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool floor_lists(const struct mvcc_floor *floor, uint64_t seq)
{
    return bsearch(&seq, floor->pins, floor->count, sizeof seq, compare_u64) != NULL;
}

/* The pins that stand and are not cancelled, ascending; equal ones once. Those above H matter to a later floor only. One below the
 * last H that the last floor did not list does not stand: its reader will see that H and take its snapshot anew. So floors only rise. */
static uint32_t pins_read(const struct mvcc_pins *pins, uint64_t *out, uint32_t high,
                          uint64_t applied, const struct mvcc_floor *last)
{
    uint64_t oldest_ms = atomic_load_explicit(&pins->oldest_ms, memory_order_relaxed);
    uint32_t count = 0;
    for (uint32_t i = 0; i < high; i++) {
        uint64_t word = atomic_load_explicit(&pins->slots[i].word, memory_order_seq_cst);
        if (word == WORD_FREE || word == WORD_TAKING || FAULT_BUG("gc-pinned") ||
            word - 1 > applied ||
            (last != NULL && word - 1 < last->applied && !floor_lists(last, word - 1))) {
            continue;
        }
        if (atomic_load_explicit(&pins->slots[i].date_ms, memory_order_acquire) >= oldest_ms) {
            out[count++] = word - 1;
        }
    }
    qsort(out, count, sizeof *out, compare_u64);
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (distinct == 0 || out[distinct - 1] != out[i]) {
            out[distinct++] = out[i];
        }
    }
    return distinct;
}

static bool floor_equal(const struct mvcc_floor *a, const struct mvcc_floor *b)
{
    return a != NULL && a->applied == b->applied && a->count == b->count &&
           memcmp(a->pins, b->pins, a->count * sizeof a->pins[0]) == 0;
}

uint64_t mvcc_floor_advance(struct mvcc *mvcc, struct mvcc_thread *thread, uint64_t oldest_ms)
{
    struct mvcc_pins *pins = &mvcc->pins;
    struct mvcc_floor *old = atomic_load_explicit(&pins->floor, memory_order_relaxed);
    uint32_t high_guess = atomic_load_explicit(&pins->high, memory_order_relaxed) + 8;
    high_guess = high_guess < pins->max ? high_guess : pins->max;

    /* Allocated before anything is announced. Without memory the old floor stays: nothing is lost but time. */
    struct mvcc_floor *floor = malloc(sizeof *floor + high_guess * sizeof floor->pins[0]);
    if (floor == NULL) {
        return mvcc_floor(mvcc);
    }
    atomic_init(&floor->entry.link, 0);
    qsbr_drain(thread->qsbr); /* the one who comes by regularly */
    if (oldest_ms > atomic_load_explicit(&pins->oldest_ms, memory_order_relaxed)) {
        atomic_store_explicit(&pins->oldest_ms, oldest_ms, memory_order_seq_cst);
    }
    floor->applied = mvcc_applied(mvcc);
    atomic_store_explicit(&pins->pending, floor->applied, memory_order_seq_cst);
    FAULT_POINT("mvcc.floor.pending");
    uint32_t high = atomic_load_explicit(&pins->high, memory_order_seq_cst);
    if (high > high_guess) { /* a burst of new pins: next time */
        free(floor);
        return mvcc_floor(mvcc);
    }
    floor->count = pins_read(pins, floor->pins, high, floor->applied, old);
    floor->epoch = old == NULL ? 1 : old->epoch + 1;
    FAULT_POINT("mvcc.floor.read");
    if (floor_equal(old, floor)) {
        free(floor);
        return mvcc_floor(mvcc);
    }
    uint64_t least = floor->count > 0 ? floor->pins[0] : floor->applied;
    atomic_store_explicit(&pins->floor, floor, memory_order_release);
    atomic_store_explicit(&pins->floor_min, least, memory_order_release);
    if (old != NULL) {
        qsbr_retire(thread->qsbr, MVCC_BLOCK_PLAIN, &old->entry,
                    sizeof *old + old->count * sizeof old->pins[0]);
    }
    return least;
}

uint64_t mvcc_floor(const struct mvcc *mvcc)
{
    return atomic_load_explicit(&mvcc->pins.floor_min, memory_order_acquire);
}

uint64_t mvcc_floor_applied(const struct mvcc *mvcc)
{
    const struct mvcc_floor *floor = atomic_load_explicit(&mvcc->pins.floor, memory_order_acquire);
    return floor == NULL ? 0 : floor->applied;
}

bool mvcc_needed(const struct mvcc *mvcc, uint64_t begin, uint64_t end)
{
    const struct mvcc_floor *floor = atomic_load_explicit(&mvcc->pins.floor, memory_order_acquire);
    if (floor == NULL || end > floor->applied) {
        return true;
    }
    uint32_t from = 0;
    uint32_t to = floor->count;
    while (from < to) { /* the first pin at or above BEGIN */
        uint32_t mid = from + (to - from) / 2;
        if (floor->pins[mid] < begin) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from < floor->count && floor->pins[from] < end;
}

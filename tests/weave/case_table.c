/* The object table: claims, validation, positions, snapshots, the floor, eviction and loading. */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "cases.h"
#include "mvcc/internal.h"

enum { THREADS = 3, X = 0, Y = 1, OBJECTS = 2, POSITIONS = 8 };

static struct mvcc *domain;
static struct mvcc_table *table;
static struct mvcc_thread *threads[THREADS];
static struct mvcc_head *heads[OBJECTS];
static uint8_t keys[OBJECTS][32];

/* Every version's payload is one number. */
static struct mvcc_version *make_version(struct mvcc_thread *thread, uint64_t version,
                                         uint64_t value)
{
    struct mvcc_version *made = mvcc_version_create(thread, sizeof value);
    mvcc_version_number_set(made, version);
    memcpy(made->payload, &value, sizeof value);
    return made;
}

static uint64_t value_of(const struct mvcc_version *version)
{
    uint64_t value = UINT64_MAX;
    if (version != NULL)
        memcpy(&value, version->payload, sizeof value);
    return value;
}

/* Two objects of value 0 and version 1, written at position 1. */
static void make_domain(bool records_kept)
{
    const struct mvcc_config config = {.inflight_max = POSITIONS,
                                       .pins_max = 2,
                                       .threads_max = THREADS,
                                       .first_seq = 1,
                                       .records_kept = records_kept};
    domain = mvcc_create(&config);
    table = mvcc_table(domain, MVCC_OBJECTS);
    for (int i = 0; i < THREADS; i++)
        threads[i] = mvcc_thread_create(domain);
    mvcc_online(threads[0]);
    uint64_t seq = mvcc_seq_next(domain);
    for (int i = 0; i < OBJECTS; i++) {
        memset(keys[i], 'X' + i, sizeof keys[i]);
        CASE_CHECK(mvcc_hold_new(table, threads[0], keys[i], sizeof keys[i], &heads[i]));
        mvcc_publish(table, threads[0], heads[i], make_version(threads[0], 1, 0), seq);
    }
    mvcc_seq_hand_over(domain, seq, NULL);
    mvcc_offline(threads[0]);
}

static void setup(void)
{
    make_domain(false);
}

/* Statistics are summed by who wants to know roughly; nothing rests on them here. */
static void quiet_counters(void)
{
    for (int i = 0; i < THREADS; i++)
        weave_quiet(threads[i]->counters, sizeof threads[i]->counters);
}

/* ---- claim, validate, publish: both add one to both ------------------------------------------------------------------ */

static uint64_t added; /* transactions that were published */

static void *add_to_both(void *arg)
{
    struct mvcc_thread *thread = *(struct mvcc_thread **)arg;
    uint64_t read[OBJECTS], value[OBJECTS], claimed[OBJECTS];
    size_t count = 0;
    mvcc_online(thread);
    for (int i = 0; i < OBJECTS; i++) {
        read[i] = mvcc_state(heads[i]);
        value[i] = value_of(mvcc_newest(heads[i]));
    }
    bool good = true;
    while (good && count < OBJECTS) {
        good = mvcc_try_claim(heads[count], &claimed[count]);
        count += good;
    }
    for (size_t i = 0; good && i < count; i++)
        good = case_wrong || claimed[i] == read[i];
    if (good) {
        uint64_t seq = mvcc_seq_next(domain);
        for (size_t i = 0; i < count; i++)
            mvcc_publish(table, thread, heads[i],
                         make_version(thread, mvcc_state_version(claimed[i]) + 1, value[i] + 1),
                         seq);
        mvcc_seq_hand_over(domain, seq, NULL);
        added++;
    } else {
        while (count-- > 0)
            mvcc_release(heads[count], claimed[count]);
    }
    mvcc_offline(thread);
    return NULL;
}

static void *add_first(void *arg)
{
    (void)arg;
    return add_to_both(&threads[0]);
}

static void *add_second(void *arg)
{
    (void)arg;
    return add_to_both(&threads[1]);
}

static void run_add(void *arg)
{
    static void *(*const runs[])(void *) = {add_first, add_second};
    (void)arg;
    quiet_counters();
    added = 0;
    case_threads(runs, 2);
    for (int i = 0; i < OBJECTS; i++)
        CASE_CHECK(value_of(mvcc_newest(heads[i])) == added);
    CASE_CHECK(added >= 1);
    CASE_CHECK(mvcc_applied(domain) == 1 + added);
    CASE_CHECK(mvcc_state(heads[X]) == mvcc_state(heads[Y]));
}

/* ---- validation: each writes what it makes of the other's object ------------------------------------------------------------ */

/* What each has done: seq 0 = nothing. */
static struct deed {
    uint64_t seq, saw;
} deeds[OBJECTS];

/* OWN becomes 1 + what OTHER is; BLIND: whatever OTHER is. BEFORE, AFTER: the validations before and after taking a position. */
static void write_from(struct mvcc_thread *thread, int own, bool blind, bool before, bool after)
{
    const struct mvcc_head *other = heads[1 - own];
    struct deed *deed = &deeds[own];
    uint64_t claimed;
    mvcc_online(thread);
    uint64_t read = mvcc_state(other);
    deed->saw = blind ? 0 : value_of(mvcc_newest(other));
    bool good = blind || (!mvcc_state_claimed(read) && mvcc_state(other) == read);
    if (good && mvcc_try_claim(heads[own], &claimed)) {
        if (blind || !before || mvcc_unchanged(other, read, false)) {
            uint64_t seq = mvcc_seq_next(domain);
            if (blind || !after || mvcc_unchanged(other, read, false)) {
                deed->seq = seq;
                mvcc_publish(table, thread, heads[own],
                             make_version(thread, mvcc_state_version(claimed) + 1, 1 + deed->saw),
                             seq);
            } else {
                mvcc_release(heads[own], claimed);
            }
            mvcc_seq_hand_over(domain, seq, NULL);
        } else {
            mvcc_release(heads[own], claimed);
        }
    }
    mvcc_offline(thread);
}

static void *write_x(void *arg)
{
    (void)arg;
    write_from(threads[0], X, false, true, !case_wrong);
    return NULL;
}

static void *write_y_blind(void *arg)
{
    (void)arg;
    write_from(threads[1], Y, true, true, true);
    return NULL;
}

static void *write_x_skew(void *arg)
{
    (void)arg;
    write_from(threads[0], X, false, !case_wrong, !case_wrong);
    return NULL;
}

static void *write_y_skew(void *arg)
{
    (void)arg;
    write_from(threads[1], Y, false, !case_wrong, !case_wrong);
    return NULL;
}

/* In the order of seq, each has seen what the one before has written. */
static void check_deeds(void)
{
    for (int i = 0; i < OBJECTS; i++) {
        const struct deed *deed = &deeds[i], *other = &deeds[1 - i];
        CASE_CHECK(value_of(mvcc_newest(heads[i])) == (deed->seq != 0 ? 1 + deed->saw : 0));
        if (deed->seq == 0 || i == Y)
            continue;
        CASE_CHECK(deed->saw == (other->seq != 0 && other->seq < deed->seq ? 1 + other->saw : 0));
    }
    CASE_CHECK(mvcc_seq_outstanding(domain) == 0);
}

static void run_read_write(void *arg)
{
    static void *(*const runs[])(void *) = {write_x, write_y_blind};
    (void)arg;
    quiet_counters();
    memset(deeds, 0, sizeof deeds);
    case_threads(runs, 2);
    check_deeds();
}

static void run_skew(void *arg)
{
    static void *(*const runs[])(void *) = {write_x_skew, write_y_skew};
    (void)arg;
    quiet_counters();
    memset(deeds, 0, sizeof deeds);
    case_threads(runs, 2);
    check_deeds();
    if (deeds[X].seq != 0 && deeds[Y].seq != 0)
        CASE_CHECK(deeds[X].saw + deeds[Y].saw > 0);
}

/* ---- a snapshot is whole ----------------------------------------------------------------------------------------------------- */

static void *write_both(void *arg)
{
    uint64_t claimed[OBJECTS];
    (void)arg;
    mvcc_online(threads[0]);
    for (int i = 0; i < OBJECTS; i++)
        CASE_CHECK(mvcc_try_claim(heads[i], &claimed[i]));
    uint64_t seq = mvcc_seq_next(domain);
    if (case_wrong)
        mvcc_seq_hand_over(domain, seq, NULL);
    for (int i = 0; i < OBJECTS; i++)
        mvcc_publish(table, threads[0], heads[i], make_version(threads[0], 2, 1), seq);
    if (!case_wrong)
        mvcc_seq_hand_over(domain, seq, NULL);
    mvcc_offline(threads[0]);
    return NULL;
}

static void *look_at_both(void *arg)
{
    struct mvcc_pin pin;
    (void)arg;
    mvcc_online(threads[1]);
    CASE_CHECK(mvcc_pin(domain, 1, &pin));
    uint64_t x = value_of(mvcc_read_at(heads[X], pin.seq));
    uint64_t y = value_of(mvcc_read_at(heads[Y], pin.seq));
    CASE_CHECK(x == pin.seq - 1);
    CASE_CHECK(y == pin.seq - 1);
    mvcc_unpin(domain, &pin);
    mvcc_offline(threads[1]);
    return NULL;
}

static void run_whole(void *arg)
{
    static void *(*const runs[])(void *) = {write_both, look_at_both};
    (void)arg;
    quiet_counters();
    case_threads(runs, 2);
    CASE_CHECK(mvcc_applied(domain) == 2);
}

/* ---- a pin against floor and trim: the collector comes between two writes -------------------------------------------------------- */

static void *write_and_collect(void *arg)
{
    uint64_t claimed;
    (void)arg;
    mvcc_online(threads[0]);
    for (uint64_t i = 1; i <= 2; i++) {
        CASE_CHECK(mvcc_try_claim(heads[X], &claimed));
        uint64_t seq = mvcc_seq_next(domain);
        mvcc_publish(table, threads[0], heads[X], make_version(threads[0], 1 + i, seq - 1), seq);
        mvcc_seq_hand_over(domain, seq, NULL);
        mvcc_floor_advance(domain, threads[0], 0);
        (void)mvcc_chain_trim(table, threads[0], heads[X]);
        mvcc_quiesce(threads[0]);
    }
    mvcc_offline(threads[0]);
    return NULL;
}

static void *look_at_x(void *arg)
{
    struct mvcc_pin pin = {0};
    (void)arg;
    mvcc_online(threads[1]);
    if (case_wrong)
        pin.seq = mvcc_applied(domain); /* nothing says that it is needed */
    else
        CASE_CHECK(mvcc_pin(domain, 1, &pin));
    CASE_CHECK(value_of(mvcc_read_at(heads[X], pin.seq)) == pin.seq - 1);
    mvcc_quiesce(threads[1]);
    CASE_CHECK(value_of(mvcc_read_at(heads[X], pin.seq)) == pin.seq - 1);
    if (!case_wrong)
        mvcc_unpin(domain, &pin);
    mvcc_offline(threads[1]);
    return NULL;
}

static void run_pin(void *arg)
{
    static void *(*const runs[])(void *) = {write_and_collect, look_at_x};
    (void)arg;
    quiet_counters();
    case_threads(runs, 2);
}

/* ---- positions: two threads finish, a third takes what is applied ------------------------------------------------------------------ */

static uint64_t records[POSITIONS + 1];

static void setup_records(void)
{
    make_domain(true);
    (void)mvcc_seq_take(domain, 1);
}

static void finish(uint32_t count)
{
    void *given[2];
    uint64_t seq = mvcc_seq_next_many(domain, count);
    for (uint32_t i = 0; i < count; i++)
        given[i] = &records[seq + i];
    if (case_wrong && seq > 2) /* as if the one before it were finished too */
        seq = 2;
    mvcc_seq_hand_over_many(domain, seq, given, count);
}

static void *finish_one(void *arg)
{
    (void)arg;
    finish(1);
    return NULL;
}

static void *finish_two(void *arg)
{
    (void)arg;
    finish(2);
    return NULL;
}

static uint64_t take_applied(uint64_t next)
{
    for (; next <= mvcc_applied(domain); next++)
        CASE_CHECK(mvcc_seq_take(domain, next) == &records[next]);
    return next;
}

static uint64_t next_to_take;

static void *take_some(void *arg)
{
    (void)arg;
    next_to_take = take_applied(next_to_take);
    next_to_take = take_applied(next_to_take);
    return NULL;
}

static void run_seq(void *arg)
{
    static void *(*const runs[])(void *) = {finish_one, finish_two, take_some};
    (void)arg;
    next_to_take = 2;
    case_threads(runs, 3);
    CASE_CHECK(take_applied(next_to_take) == 5);
    CASE_CHECK(mvcc_seq_outstanding(domain) == 0);
}

/* ---- eviction against loading: a disk that holds what was materialised ---------------------------------------------------------------- */

static void setup_evict(void)
{
    make_domain(false);
    mvcc_online(threads[0]);
    mvcc_floor_advance(domain, threads[0], 0);
    mvcc_offline(threads[0]);
    for (int i = 0; i < OBJECTS; i++)
        mvcc_unhold(heads[i]);
    table->collect_pressed = true; /* no second chances */
    table->collect_shard = mvcc_hash_key(table, keys[X], sizeof keys[X]).shard;
}

/* X, held and there. The disk has version 1 of it. */
static struct mvcc_head *hold_x(struct mvcc_thread *thread)
{
    for (;;) {
        struct mvcc_head *head;
        enum mvcc_hold_result result = mvcc_hold(table, thread, keys[X], sizeof keys[X], &head);
        if (result == MVCC_HELD)
            return head;
        if (result == MVCC_HELD_LOAD) {
            struct mvcc_version *version = make_version(thread, 1, 0);
            mvcc_version_begin_set(version, 1);
            mvcc_load_finish(table, thread, head, version, 1);
            return head;
        }
        mvcc_unhold(head);
        mvcc_quiesce(thread);
        sched_yield();
    }
}

static void *update_x(void *arg)
{
    uint64_t claimed;
    (void)arg;
    mvcc_online(threads[0]);
    struct mvcc_head *head = hold_x(threads[0]);
    if (mvcc_try_claim(head, &claimed)) { /* or the collector is at it */
        uint64_t value = value_of(mvcc_newest(head)), seq = mvcc_seq_next(domain);
        mvcc_publish(table, threads[0], head,
                     make_version(threads[0], mvcc_state_version(claimed) + 1, value + 1), seq);
        mvcc_seq_hand_over(domain, seq, NULL);
        added++;
    }
    mvcc_unhold(head);
    mvcc_quiesce(threads[0]);
    head = hold_x(threads[0]);
    CASE_CHECK(value_of(mvcc_newest(head)) == added);
    CASE_CHECK(mvcc_state_version(mvcc_state(head)) == 1 + added);
    mvcc_unhold(head);
    mvcc_offline(threads[0]);
    return NULL;
}

static void *evict_x(void *arg)
{
    enum { ONE_SHARD = 9 }; /* 64 slots, of which one has a head */
    struct mvcc_collected collected = {0};
    (void)arg;
    mvcc_online(threads[1]);
    mvcc_floor_advance(domain, threads[1], 0);
    mvcc_collect(table, threads[1], case_wrong ? POSITIONS : 1, 0, ONE_SHARD, &collected);
    mvcc_offline(threads[1]);
    return NULL;
}

static void run_evict(void *arg)
{
    static void *(*const runs[])(void *) = {update_x, evict_x};
    (void)arg;
    quiet_counters();
    added = 0;
    case_threads(runs, 2);
    mvcc_online(threads[2]);
    CASE_CHECK(value_of(mvcc_newest(hold_x(threads[2]))) == added);
}

const struct case_of cases_table[] = {
    {{"claim, validate, publish", setup, run_add}, "no look at what was read", NULL},
    {{"publish: the version, then the claim", setup, run_add},
     "the claim is let go before the version stands",
     "release-early"},
    {{"validate: read against write", setup, run_read_write}, "no validation after seq", NULL},
    {{"validate: write skew", setup, run_skew}, "no validation", NULL},
    {{"seq: a snapshot is whole", setup, run_whole}, "hand over before publishing", NULL},
    {{"seq: finish and take", setup_records, run_seq}, "another's position is finished", NULL},
    {{"pin: floor and trim", setup, run_pin}, "a snapshot without a pin", NULL},
    {{"evict against load and update", setup_evict, run_evict},
     "evict what is not on the disk",
     NULL},
    {{NULL, NULL, NULL}, NULL, NULL}};

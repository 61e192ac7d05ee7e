/* The checker is checked: each anomaly made by hand is found by its name, and on random small histories it says what trying every order says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "history/check.h"

enum { OPS_MAX = 6, ITEMS_MAX = 64, OBJECTS = 3 };

struct made {
    struct history_op ops[OPS_MAX + 2];
    struct history_read reads[ITEMS_MAX];
    struct history_write writes[ITEMS_MAX];
    struct history history;
};

static unsigned passed, failed;

static void verdict(bool good, const char *what)
{
    if (good) {
        passed++;
        return;
    }
    failed++;
    printf("FAILED %s\n", what);
}

static void made_init(struct made *made)
{
    memset(made, 0, sizeof *made);
    made->history = (struct history){.ops = made->ops,
                                     .reads = made->reads,
                                     .writes = made->writes,
                                     .objects = OBJECTS,
                                     .clients = OPS_MAX};
}

static struct history_op *add_op(struct made *made, uint32_t client, uint64_t invoked,
                                 uint64_t returned)
{
    struct history *h = &made->history;
    struct history_op *op = &made->ops[h->op_count++];
    *op = (struct history_op){.client = client,
                              .invoked = invoked,
                              .returned = returned,
                              .reads = (uint32_t)h->read_count,
                              .writes = (uint32_t)h->write_count};
    return op;
}

static void add_read(struct made *made, uint32_t object, uint64_t version, int64_t value)
{
    made->reads[made->history.read_count++] = (struct history_read){object, version, value};
    made->ops[made->history.op_count - 1].read_count++;
}

static void add_write(struct made *made, uint32_t object, uint64_t version, uint32_t adds)
{
    made->writes[made->history.write_count++] = (struct history_write){object, version, adds};
    made->ops[made->history.op_count - 1].write_count++;
}

/* ---- by hand ---------------------------------------------------------------------------------------------------- */

/* A history in words: operations by blanks; "c1" is of client 1; r, w and the object's letter and the version; "x" a failed one; "5-9" when it
 * was under way; "p4" its position; "=2" the number that the last read found, "+1" what the last write added. */
static void parse_op(struct made *made, char *text)
{
    uint32_t serial = (uint32_t)made->history.op_count;
    struct history_op *op = add_op(made, serial, 0, 1000);
    for (char *word = strtok(text, ","); word != NULL; word = strtok(NULL, ",")) {
        unsigned long long a = 0, b = 0;
        if (sscanf(word, "%llu-%llu", &a, &b) == 2) {
            op->invoked = a;
            op->returned = b;
        } else if (word[0] == 'c') {
            op->client = (uint32_t)atoi(word + 1);
        } else if (word[0] == 'p') {
            op->position = strtoull(word + 1, NULL, 10);
        } else if (word[0] == 'f') {
            op->type = HISTORY_FAIL;
        } else if (word[0] == 'r') {
            const char *value = strchr(word, '=');
            add_read(made, (uint32_t)(word[1] - 'x'), strtoull(word + 2, NULL, 10),
                     value ? atoll(value + 1) : -1);
        } else if (word[0] == 'w') {
            const char *adds = strchr(word, '+');
            add_write(made, (uint32_t)(word[1] - 'x'), strtoull(word + 2, NULL, 10),
                      adds ? (uint32_t)atoi(adds + 1) : 0);
        }
    }
}

static void parse(struct made *made, const char *text)
{
    char copy[256], *rest = copy;
    made_init(made);
    snprintf(copy, sizeof copy, "%s", text);
    while (*rest) {
        char *end = strchr(rest, ' '), *next = end ? end + 1 : rest + strlen(rest);
        if (end)
            *end = 0;
        parse_op(made, rest);
        rest = next;
    }
}

static void by_hand(void)
{
    static const struct {
        int anomaly; /* -1 = it is good */
        const char *text;
    } cases[] = {
        {-1, "wx1 rx1,wx2 rx2 rx0"},
        {-1, "wx1,wy1 rx1,ry1 rx0,ry0"},
        {-1, "0-10,wx1 20-30,rx1 20-30,rx1,wx2 40-50,rx2"},
        {-1, "5-20,wx1 10-30,rx0"}, /* together: either order */
        {-1, "wx1+1 rx1=1,wx2+2 rx2=3"},
        {-1, "c1,0-1,wx1 c1,2-3,rx1 c1,4-5,rx1,wx2 c1,6-7,rx2"},
        {HISTORY_G0, "wx1,wy2 wx2,wy1"},
        {HISTORY_G0, "wx1,wz2 wx2,wy1 wy2,wz1"},
        {HISTORY_G1A, "f,wx1 rx1"},
        {HISTORY_G1A, "wx1 rx3"},
        {HISTORY_G1B, "wx1,wx2 rx1"},
        {HISTORY_G1C, "wx1,ry1 wy1,rx1"},
        {HISTORY_G1C, "wx1,wy2 wy1,rx1"},
        {HISTORY_G_SINGLE, "wx1,wy1 rx1,ry0"}, /* half of it */
        {HISTORY_G_SINGLE, "rx0,wx1 rx0,wx2"},
        {HISTORY_LOST_UPDATE, "wx1 rx1,wx2 rx1,wx3"},
        {HISTORY_G2, "rx0,ry0,wx1 rx0,ry0,wy1"},                /* write skew */
        {HISTORY_G2, "wx1 wy1 rx1,ry0 rx0,ry1"},                /* long fork */
        {HISTORY_G2, "rx0,wy1 ry0,wz1 rz0,wx1"},                /* a ring of three */
        {HISTORY_REAL_TIME, "0-10,wx1 20-30,rx0"},              /* a stale read */
        {HISTORY_REAL_TIME, "0-10,wx2 20-30,wx1"},              /* an overwritten past */
        {HISTORY_REAL_TIME, "0-10,rx1 20-30,wx1"},              /* from the future */
        {HISTORY_REAL_TIME, "0-10,wx1 5-15,wy1 20-30,rx1,ry0"}, /* one of two is missed */
        {HISTORY_DUPLICATE, "wx1 wx1"},
        {HISTORY_DUPLICATE, "p4,wx1 p4,wy1"},
        {HISTORY_SESSION, "wx1 wx2 c7,0-1,rx2 c7,2-3,rx1"},
        {HISTORY_SESSION, "c7,0-1,wx1 c7,2-3,rx0"},
        {HISTORY_VALUE, "wx1+1 wx2+1 rx2=1"},
        {HISTORY_VALUE, "wx1+1 wx2+1 rx1=2"},
        {HISTORY_LAMPORT, "wy5 ry5,wx1"},
        {HISTORY_POSITION, "p4,wx1 p2,rx1,wx2"},
        {HISTORY_POSITION, "p4,wx1 p3,rx1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct made made;
        struct history_verdict v;
        parse(&made, cases[i].text);
        made.history.real_time = cases[i].anomaly < 0 || cases[i].anomaly == HISTORY_REAL_TIME;
        made.history.lamport = cases[i].anomaly == HISTORY_LAMPORT;
        uint64_t sum = history_check(&v, &made.history, false);
        bool good = cases[i].anomaly < 0 ? sum == 0 : v.found[cases[i].anomaly] > 0;
        /* Cycles have one name. */
        for (int a = HISTORY_G0; a <= HISTORY_REAL_TIME; a++)
            if (cases[i].anomaly >= 0 && cases[i].anomaly <= HISTORY_REAL_TIME &&
                a != cases[i].anomaly && a != HISTORY_G_SINGLE && v.found[a] > 0 &&
                cases[i].anomaly != HISTORY_G1B)
                good = false;
        verdict(good, cases[i].text);
    }
}

/* ---- against every order ------------------------------------------------------------------------------------------ */

static bool fits(const struct made *made, uint64_t now[OBJECTS], const struct history_op *op)
{
    for (uint16_t i = 0; i < op->read_count; i++)
        if (now[made->reads[op->reads + i].object] != made->reads[op->reads + i].version)
            return false;
    for (uint16_t i = 0; i < op->write_count; i++) {
        const struct history_write *w = &made->writes[op->writes + i];
        if (w->version <= now[w->object])
            return false;
        now[w->object] = w->version;
    }
    return true;
}

/* May what is left (DONE has a bit for each that is not) come next in some order? */
static bool some_order(const struct made *made, unsigned done, const uint64_t now[OBJECTS])
{
    const struct history *h = &made->history;
    if (done == (1u << h->op_count) - 1)
        return true;
    for (unsigned i = 0; i < h->op_count; i++) {
        if (done & 1u << i)
            continue;
        bool waits = false; /* for one that had ended before it began */
        for (unsigned k = 0; k < h->op_count && h->real_time; k++)
            waits |= !(done & 1u << k) && k != i && made->ops[k].returned < made->ops[i].invoked;
        uint64_t then[OBJECTS];
        memcpy(then, now, sizeof then);
        if (!waits && fits(made, then, &made->ops[i]) && some_order(made, done | 1u << i, then))
            return true;
    }
    return false;
}

/* What some order would have shown, then perhaps with something changed. */
static void random_history(struct made *made, struct rng *rng)
{
    uint64_t now[OBJECTS] = {0};
    made_init(made);
    made->history.real_time = rng_below(rng, 2);
    unsigned n = 2 + (unsigned)rng_below(rng, OPS_MAX - 1);
    for (unsigned i = 0; i < n; i++) {
        uint64_t begin = 10 * i + rng_below(rng, 25);
        add_op(made, i, begin, begin + 1 + rng_below(rng, 30));
        for (uint32_t object = 0; object < OBJECTS; object++) {
            if (rng_below(rng, 2))
                add_read(made, object, now[object], -1);
            if (rng_below(rng, 3) == 0)
                add_write(made, object, now[object] += 1 + rng_below(rng, 2), 0);
        }
    }
    for (uint64_t changes = rng_below(rng, 4); changes > 0; changes--)
        if (made->history.read_count > 0 && rng_below(rng, 2)) {
            struct history_read *read = &made->reads[rng_below(rng, made->history.read_count)];
            read->version = rng_below(rng, now[read->object] + 1);
        } else if (made->history.write_count > 0) {
            struct history_write *write = &made->writes[rng_below(rng, made->history.write_count)];
            write->version = 1 + rng_below(rng, now[write->object] + 1);
        }
}

static void against_every_order(uint64_t seed, unsigned count)
{
    struct rng rng;
    unsigned yes = 0, no = 0, differ = 0;
    rng_init(&rng, seed);
    for (unsigned i = 0; i < count; i++) {
        struct made made;
        struct history_verdict v;
        const uint64_t start[OBJECTS] = {0};
        random_history(&made, &rng);
        (void)history_check(&v, &made.history, false);
        uint64_t sum = v.found[HISTORY_DUPLICATE];
        for (int a = HISTORY_G0; a <= HISTORY_REAL_TIME; a++)
            sum += v.found[a];
        bool order = some_order(&made, 0, start);
        yes += order;
        no += !order;
        if (order != (sum == 0) && differ++ == 0) {
            printf("history %u: the checker says %s, some order %s it\n", i, sum ? "bad" : "good",
                   order ? "explains" : "does not explain");
            (void)history_check(&v, &made.history, true);
        }
    }
    printf("%u random histories: %u have an order, %u have none, %u verdicts differ\n", count, yes,
           no, differ);
    verdict(differ == 0, "the checker and every order agree");
    verdict(yes > count / 10 && no > count / 10, "both verdicts are seen");
}

int main(void)
{
    const char *text = getenv("SVM_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    printf("SVM_SEED=%llu\n", (unsigned long long)seed);
    by_hand();
    against_every_order(seed, getenv("SVM_SHORT") ? 2000 : 20000);
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}

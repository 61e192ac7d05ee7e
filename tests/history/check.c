#include "history/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history/graph.h"

#define NOBODY UINT32_MAX
enum { PATH_MAX_EDGES = 64, TRIES_MAX = 2000 };

static const char *const NAMES[HISTORY_ANOMALIES] = {
    [HISTORY_G0] = "G0",
    [HISTORY_G1A] = "G1a",
    [HISTORY_G1B] = "G1b",
    [HISTORY_G1C] = "G1c",
    [HISTORY_G_SINGLE] = "G-single",
    [HISTORY_G2] = "G2",
    [HISTORY_REAL_TIME] = "real-time",
    [HISTORY_LOST_UPDATE] = "lost update",
    [HISTORY_DUPLICATE] = "duplicate",
    [HISTORY_SESSION] = "session",
    [HISTORY_VALUE] = "value",
    [HISTORY_LAMPORT] = "version rule",
    [HISTORY_POSITION] = "position",
};

const char *history_anomaly_name(enum history_anomaly anomaly)
{
    return NAMES[anomaly];
}

/* One version of an object. */
struct place {
    uint32_t object, op; /* NOBODY: version 0 */
    uint64_t version;
    uint32_t adds;
    int64_t sum;       /* of all adds up to here */
    uint32_t taken_by; /* who read it and overwrote the object */
};

struct checker {
    const struct history *history;
    struct history_verdict *verdict;
    bool say;
    struct place *places; /* by object, then version */
    size_t place_count;
    size_t *first; /* of each object's */
    struct graph graph;
    uint32_t ops; /* nodes below are operations, above moments */
};

/* found: counts; true = it is to be told (the first of its kind). */
static bool found(struct checker *c, enum history_anomaly anomaly)
{
    bool first = c->verdict->found[anomaly]++ == 0;
    if (first && c->say)
        printf("%s: ", NAMES[anomaly]);
    return first && c->say;
}

static void tell_op(const struct checker *c, uint32_t index)
{
    if (index == NOBODY) {
        printf("the beginning");
        return;
    }
    const struct history *h = c->history;
    const struct history_op *op = &h->ops[index];
    printf("op %u (client %u", index, op->client);
    if (op->position)
        printf(", %s %llu", op->position % 2 ? "query at" : "seq",
               (unsigned long long)(op->position / 2));
    for (uint16_t i = 0; i < op->read_count; i++)
        printf(", read %u@%llu", h->reads[op->reads + i].object,
               (unsigned long long)h->reads[op->reads + i].version);
    for (uint16_t i = 0; i < op->write_count; i++)
        printf(", wrote %u@%llu", h->writes[op->writes + i].object,
               (unsigned long long)h->writes[op->writes + i].version);
    printf(")");
}

/* ---- versions -------------------------------------------------------------------------------------------------- */

static int compare_places(const void *x, const void *y)
{
    const struct place *a = x, *b = y;
    if (a->object != b->object)
        return a->object < b->object ? -1 : 1;
    if (a->version != b->version)
        return a->version < b->version ? -1 : 1;
    return a->op < b->op ? -1 : a->op > b->op;
}

static void places_make(struct checker *c)
{
    const struct history *h = c->history;
    size_t n = 0;
    c->places = memory_or_die(malloc((h->write_count + h->objects + 1) * sizeof *c->places));
    c->first = memory_or_die(malloc(((size_t)h->objects + 1) * sizeof *c->first));
    for (uint32_t object = 0; object < h->objects; object++)
        c->places[n++] = (struct place){.object = object, .op = NOBODY, .taken_by = NOBODY};
    for (uint32_t i = 0; i < h->op_count; i++) {
        const struct history_op *op = &h->ops[i];
        for (uint16_t k = 0; op->type == HISTORY_OK && k < op->write_count; k++) {
            const struct history_write *w = &h->writes[op->writes + k];
            c->places[n++] = (struct place){.object = w->object,
                                            .op = i,
                                            .version = w->version,
                                            .adds = w->adds,
                                            .taken_by = NOBODY};
        }
    }
    c->place_count = n;
    qsort(c->places, n, sizeof *c->places, compare_places);
    size_t at = 0;
    for (uint32_t object = 0; object <= h->objects; object++) {
        while (at < n && c->places[at].object < object)
            at++;
        c->first[object] = at;
    }
    for (size_t i = 0; i < n; i++)
        c->places[i].sum =
            (i > 0 && c->places[i - 1].object == c->places[i].object ? c->places[i - 1].sum : 0) +
            c->places[i].adds;
}

/* The place of VERSION of OBJECT, or NULL. */
static struct place *place_find(const struct checker *c, uint32_t object, uint64_t version)
{
    size_t low = c->first[object], high = c->first[object + 1];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->places[middle].version < version)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->first[object + 1] && c->places[low].version == version ? &c->places[low] : NULL;
}

static void check_versions(struct checker *c)
{
    for (size_t i = 1; i < c->place_count; i++) {
        const struct place *a = &c->places[i - 1], *b = &c->places[i];
        if (a->object != b->object)
            continue;
        if (a->version == b->version && found(c, HISTORY_DUPLICATE)) {
            printf("version %llu of object %u was written by ", (unsigned long long)a->version,
                   a->object);
            tell_op(c, a->op);
            printf(" and by ");
            tell_op(c, b->op);
            printf("\n");
        }
        if (a->op != NOBODY)
            graph_add(&c->graph, a->op, b->op, EDGE_WW, a->object);
    }
}

static int compare_u64(const void *x, const void *y)
{
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

static void check_positions(struct checker *c)
{
    const struct history *h = c->history;
    uint64_t *positions = memory_or_die(malloc((h->op_count + 1) * sizeof *positions));
    size_t n = 0;
    for (size_t i = 0; i < h->op_count; i++)
        if (h->ops[i].type == HISTORY_OK && h->ops[i].position && h->ops[i].position % 2 == 0)
            positions[n++] = h->ops[i].position;
    qsort(positions, n, sizeof *positions, compare_u64);
    for (size_t i = 1; i < n; i++)
        if (positions[i] == positions[i - 1] && found(c, HISTORY_DUPLICATE))
            printf("position %llu was given twice\n", (unsigned long long)positions[i] / 2);
    free(positions);
}

/* ---- reads ------------------------------------------------------------------------------------------------------ */

static bool overwrites(const struct history *h, const struct history_op *op, uint32_t object)
{
    for (uint16_t i = 0; i < op->write_count; i++)
        if (h->writes[op->writes + i].object == object)
            return true;
    return false;
}

static void tell_read(const struct checker *c, uint32_t index, const struct history_read *read,
                      const char *what)
{
    tell_op(c, index);
    printf(" read version %llu of object %u, %s\n", (unsigned long long)read->version, read->object,
           what);
}

static void check_read(struct checker *c, uint32_t index, const struct history_read *read)
{
    const struct history *h = c->history;
    const struct history_op *op = &h->ops[index];
    struct place *place = place_find(c, read->object, read->version);
    const struct place *end = c->places + c->first[read->object + 1];
    if (place == NULL) {
        if (found(c, HISTORY_G1A))
            tell_read(c, index, read, "which no operation that succeeded has written");
        return;
    }
    const struct place *next = place;
    while (next < end && next->version == read->version)
        next++;
    if (place->op == index && found(c, HISTORY_G1C))
        tell_read(c, index, read, "which it wrote itself later");
    if (place->op != NOBODY)
        graph_add(&c->graph, place->op, index, EDGE_WR, read->object);
    if (next < end) {
        graph_add(&c->graph, index, next->op, EDGE_RW, read->object);
        if (place->op != NOBODY && next->op == place->op && place->op != index &&
            found(c, HISTORY_G1B))
            tell_read(c, index, read, "which its writer overwrote itself");
    }
    if (read->value >= 0 && read->value != place->sum && found(c, HISTORY_VALUE)) {
        tell_read(c, index, read, "and the number in it is wrong:");
        printf("    it is %lld, added up to there was %lld\n", (long long)read->value,
               (long long)place->sum);
    }
    if (!overwrites(h, op, read->object))
        return;
    if (place->taken_by != NOBODY && place->taken_by != index && found(c, HISTORY_LOST_UPDATE)) {
        tell_read(c, index, read, "and overwrote it, as did");
        printf("    ");
        tell_op(c, place->taken_by);
        printf("\n");
    }
    place->taken_by = index;
}

static void check_reads(struct checker *c)
{
    const struct history *h = c->history;
    for (uint32_t i = 0; i < h->op_count; i++) {
        const struct history_op *op = &h->ops[i];
        for (uint16_t r = 0; op->type == HISTORY_OK && r < op->read_count; r++) {
            const struct history_read *read = &h->reads[op->reads + r];
            check_read(c, i, read);
            for (uint16_t w = 0; h->lamport && w < op->write_count; w++)
                if (h->writes[op->writes + w].version <= read->version && found(c, HISTORY_LAMPORT))
                    tell_read(c, i, read, "and wrote one that is not above it");
        }
    }
}

/* ---- sessions --------------------------------------------------------------------------------------------------- */

static const struct history *sorting;

static int compare_ops(const void *x, const void *y)
{
    const struct history_op *a = &sorting->ops[*(const uint32_t *)x],
                            *b = &sorting->ops[*(const uint32_t *)y];
    if (a->client != b->client)
        return a->client < b->client ? -1 : 1;
    if (a->invoked != b->invoked)
        return a->invoked < b->invoked ? -1 : 1;
    return 0;
}

/* What a client has seen by ORDER[AT] may not be newer than what ORDER[..TO) see, which it began afterwards. */
static void check_session(struct checker *c, const uint32_t *order, size_t from, size_t to)
{
    const struct history *h = c->history;
    uint64_t *seen = memory_or_die(calloc((size_t)h->objects + 1, sizeof *seen));
    for (size_t i = from, group; i < to; i = group) {
        for (group = i; group < to; group++) { /* what it had under way together */
            const struct history_op *op = &h->ops[order[group]];
            if (op->invoked != h->ops[order[i]].invoked)
                break;
            for (uint16_t r = 0; op->type == HISTORY_OK && r < op->read_count; r++) {
                const struct history_read *read = &h->reads[op->reads + r];
                if (read->version < seen[read->object] && found(c, HISTORY_SESSION)) {
                    tell_read(c, order[group], read, "and its client had seen a newer one:");
                    printf("    %llu\n", (unsigned long long)seen[read->object]);
                }
            }
        }
        for (size_t k = i; k < group; k++) {
            const struct history_op *op = &h->ops[order[k]];
            for (uint16_t r = 0; op->type == HISTORY_OK && r < op->read_count; r++)
                if (h->reads[op->reads + r].version > seen[h->reads[op->reads + r].object])
                    seen[h->reads[op->reads + r].object] = h->reads[op->reads + r].version;
            for (uint16_t w = 0; op->type == HISTORY_OK && w < op->write_count; w++)
                if (h->writes[op->writes + w].version > seen[h->writes[op->writes + w].object])
                    seen[h->writes[op->writes + w].object] = h->writes[op->writes + w].version;
        }
    }
    free(seen);
}

static void check_sessions(struct checker *c)
{
    const struct history *h = c->history;
    uint32_t *order = memory_or_die(malloc((h->op_count + 1) * sizeof *order));
    for (uint32_t i = 0; i < h->op_count; i++)
        order[i] = i;
    sorting = h;
    qsort(order, h->op_count, sizeof *order, compare_ops);
    for (size_t from = 0, to; from < h->op_count; from = to) {
        for (to = from; to < h->op_count && h->ops[order[to]].client == h->ops[order[from]].client;)
            to++;
        check_session(c, order, from, to);
    }
    free(order);
}

/* ---- real time --------------------------------------------------------------------------------------------------- */

struct event {
    uint64_t at;
    uint32_t op;
    uint32_t is_return;
};

static int compare_events(const void *x, const void *y)
{
    const struct event *a = x, *b = y;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return a->is_return < b->is_return ? -1 : a->is_return > b->is_return;
}

/* A chain of moments: who has returned before a moment leads to it, and it leads to the next one and to who begins after it. So there
 * are as many edges as events, not as pairs. */
static void real_time(struct checker *c)
{
    const struct history *h = c->history;
    struct event *events = memory_or_die(malloc((2 * h->op_count + 1) * sizeof *events));
    size_t n = 0, fresh = 0;
    for (uint32_t i = 0; i < h->op_count; i++)
        if (h->ops[i].type == HISTORY_OK) {
            events[n++] = (struct event){h->ops[i].invoked, i, 0};
            events[n++] = (struct event){h->ops[i].returned, i, 1};
        }
    qsort(events, n, sizeof *events, compare_events);
    uint32_t moment = NOBODY;
    for (size_t i = 0; i < n; i++) {
        if (events[i].is_return)
            continue;
        for (uint32_t next = NOBODY; fresh < i; fresh++) {
            if (!events[fresh].is_return)
                continue;
            if (next == NOBODY) {
                next = graph_node(&c->graph);
                if (moment != NOBODY)
                    graph_add(&c->graph, moment, next, EDGE_RT, 0);
                moment = next;
            }
            graph_add(&c->graph, events[fresh].op, moment, EDGE_RT, 0);
        }
        if (moment != NOBODY)
            graph_add(&c->graph, moment, events[i].op, EDGE_RT, 0);
    }
    free(events);
}

/* ---- cycles ------------------------------------------------------------------------------------------------------ */

static const char *kind_name(uint32_t kind)
{
    return kind == EDGE_WW ? "ww" : kind == EDGE_WR ? "wr" : kind == EDGE_RW ? "rw" : "rt";
}

/* Moments are left out: what lies between two operations is one edge of real time. */
static void tell_cycle(const struct checker *c, const uint32_t *path, size_t len)
{
    printf("a cycle\n");
    for (size_t i = 0; i < len; i++) {
        const struct edge *edge = &c->graph.edges[path[i]];
        if (edge->from >= c->ops)
            continue;
        printf("    ");
        tell_op(c, edge->from);
        if (edge->kind == EDGE_RT)
            printf("\n      --rt, had ended before-->\n");
        else
            printf("\n      --%s on object %u-->\n", kind_name(edge->kind), edge->object);
    }
    printf("    the first one\n");
}

/* The shortest cycle through an edge of kind NEW_KIND in each component, the rest of it over kinds in MASK. */
static void find_cycles(struct checker *c, enum history_anomaly anomaly, uint32_t new_kind,
                        unsigned mask, bool *done)
{
    struct graph *graph = &c->graph;
    uint32_t path[PATH_MAX_EDGES], best[PATH_MAX_EDGES];
    unsigned tries = 0;
    size_t best_len = 0;
    for (uint32_t e = 0; e < graph->count && tries < TRIES_MAX; e++) {
        const struct edge *edge = &graph->edges[e];
        uint32_t component = graph->component[edge->from];
        if (edge->kind != new_kind || component != graph->component[edge->to] ||
            graph->size[component] < 2)
            continue;
        tries++;
        size_t len = graph_path(graph, path + 1, PATH_MAX_EDGES - 1, edge->to, edge->from, mask);
        if (len == 0)
            continue;
        path[0] = e;
        if (!done[component])
            c->verdict->found[anomaly]++;
        done[component] = true;
        if (best_len == 0 || len + 1 < best_len) {
            best_len = len + 1;
            memcpy(best, path, best_len * sizeof *best);
        }
    }
    if (best_len > 0 && c->say) {
        printf("%s: ", NAMES[anomaly]);
        tell_cycle(c, best, best_len);
    }
}

static void check_cycles(struct checker *c)
{
    static const struct {
        enum history_anomaly anomaly;
        uint32_t new_kind;
        unsigned within, rest;
    } passes[] = {
        {HISTORY_G0, EDGE_WW, EDGE_WW, EDGE_WW},
        {HISTORY_G1C, EDGE_WR, EDGE_WW | EDGE_WR, EDGE_WW | EDGE_WR},
        {HISTORY_G_SINGLE, EDGE_RW, EDGE_WW | EDGE_WR | EDGE_RW, EDGE_WW | EDGE_WR},
        {HISTORY_G2, EDGE_RW, EDGE_WW | EDGE_WR | EDGE_RW, EDGE_WW | EDGE_WR | EDGE_RW},
        {HISTORY_REAL_TIME, EDGE_RT, EDGE_WW | EDGE_WR | EDGE_RW | EDGE_RT,
         EDGE_WW | EDGE_WR | EDGE_RW | EDGE_RT},
    };
    bool *done = memory_or_die(malloc(c->graph.nodes + 1));
    unsigned within = 0;
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        if (passes[i].within != within) {
            within = passes[i].within;
            graph_components(&c->graph, within);
            memset(done, 0, c->graph.nodes + 1);
        } else if (c->verdict->found[HISTORY_G_SINGLE] > 0) {
            continue; /* the same cycles again */
        }
        if (c->graph.components < c->graph.nodes)
            find_cycles(c, passes[i].anomaly, passes[i].new_kind, passes[i].rest, done);
    }
    free(done);
}

/* Every edge between operations whose positions are known goes up. */
static void check_order(struct checker *c)
{
    for (size_t i = 0; i < c->graph.count; i++) {
        const struct edge *edge = &c->graph.edges[i];
        c->verdict->edges[edge->kind == EDGE_WW   ? 0
                          : edge->kind == EDGE_WR ? 1
                          : edge->kind == EDGE_RW ? 2
                                                  : 3]++;
        if (edge->from >= c->ops || edge->to >= c->ops)
            continue;
        uint64_t from = c->history->ops[edge->from].position;
        uint64_t to = c->history->ops[edge->to].position;
        if (from && to && from >= to && found(c, HISTORY_POSITION)) {
            printf("%s on object %u goes from ", kind_name(edge->kind), edge->object);
            tell_op(c, edge->from);
            printf(" to ");
            tell_op(c, edge->to);
            printf("\n");
        }
    }
}

uint64_t history_check(struct history_verdict *verdict, const struct history *history, bool say)
{
    struct checker c = {
        .history = history, .verdict = verdict, .say = say, .ops = (uint32_t)history->op_count};
    *verdict = (struct history_verdict){{0}, {0}};
    graph_init(&c.graph, c.ops);
    places_make(&c);
    check_versions(&c);
    check_positions(&c);
    check_reads(&c);
    check_sessions(&c);
    if (history->real_time)
        real_time(&c);
    graph_seal(&c.graph);
    check_order(&c);
    check_cycles(&c);
    graph_deinit(&c.graph);
    free(c.places);
    free(c.first);
    uint64_t sum = 0;
    for (int i = 0; i < HISTORY_ANOMALIES; i++)
        sum += verdict->found[i];
    return sum;
}

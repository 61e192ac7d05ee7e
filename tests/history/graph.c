#include "history/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

void *memory_or_die(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "history: out of memory\n");
        exit(2);
    }
    return memory;
}

void graph_init(struct graph *graph, uint32_t nodes)
{
    *graph = (struct graph){.nodes = nodes};
}

void graph_deinit(struct graph *graph)
{
    free(graph->edges);
    free(graph->first);
    free(graph->component);
    free(graph->size);
    free(graph->seen);
    free(graph->queue);
    free(graph->via);
}

void graph_add(struct graph *graph, uint32_t from, uint32_t to, enum edge_kind kind,
               uint32_t object)
{
    if (from == to)
        return;
    if (graph->count == graph->cap) {
        graph->cap = graph->cap == 0 ? 1024 : 2 * graph->cap;
        graph->edges = memory_or_die(realloc(graph->edges, graph->cap * sizeof *graph->edges));
    }
    graph->edges[graph->count++] = (struct edge){from, to, object, kind};
}

uint32_t graph_node(struct graph *graph)
{
    return graph->nodes++;
}

/* By counting: the edges of a node keep their order. */
void graph_seal(struct graph *graph)
{
    const uint32_t n = graph->nodes;
    struct edge *sorted = memory_or_die(malloc((graph->count + 1) * sizeof *sorted));
    uint32_t *at = memory_or_die(calloc((size_t)n + 1, sizeof *at));
    graph->first = memory_or_die(calloc((size_t)n + 1, sizeof *graph->first));
    for (size_t i = 0; i < graph->count; i++)
        graph->first[graph->edges[i].from + 1]++;
    for (uint32_t v = 0; v < n; v++)
        graph->first[v + 1] += graph->first[v];
    memcpy(at, graph->first, ((size_t)n + 1) * sizeof *at);
    for (size_t i = 0; i < graph->count; i++)
        sorted[at[graph->edges[i].from]++] = graph->edges[i];
    free(at);
    free(graph->edges);
    graph->edges = sorted;
    graph->component = memory_or_die(malloc(((size_t)n + 1) * sizeof *graph->component));
    graph->size = memory_or_die(malloc(((size_t)n + 1) * sizeof *graph->size));
    graph->seen = memory_or_die(calloc((size_t)n + 1, sizeof *graph->seen));
    graph->queue = memory_or_die(malloc(((size_t)n + 1) * sizeof *graph->queue));
    graph->via = memory_or_die(malloc(((size_t)n + 1) * sizeof *graph->via));
}

/* ---- components ----------------------------------------------------------------------------------------------- */

/* Tarjan without recursion: histories are longer than stacks. */
struct tarjan {
    struct graph *graph;
    unsigned mask;
    uint32_t *index, *low, *next, *stack, *calls;
    uint32_t counter, height, depth;
};

static void enter(struct tarjan *t, uint32_t v)
{
    t->index[v] = t->low[v] = t->counter++;
    t->next[v] = t->graph->first[v];
    t->stack[t->height++] = v;
    t->calls[t->depth++] = v;
}

static void close_component(struct tarjan *t, uint32_t v)
{
    struct graph *graph = t->graph;
    uint32_t size = 0, w;
    do {
        w = t->stack[--t->height];
        graph->component[w] = graph->components;
        size++;
    } while (w != v);
    graph->size[graph->components++] = size;
}

static void walk(struct tarjan *t, uint32_t root)
{
    struct graph *graph = t->graph;
    enter(t, root);
    while (t->depth > 0) {
        uint32_t v = t->calls[t->depth - 1];
        if (t->next[v] < graph->first[v + 1]) {
            const struct edge *edge = &graph->edges[t->next[v]++];
            if ((edge->kind & t->mask) == 0)
                continue;
            if (t->index[edge->to] == NONE)
                enter(t, edge->to);
            else if (graph->component[edge->to] == NONE && t->index[edge->to] < t->low[v])
                t->low[v] = t->index[edge->to];
            continue;
        }
        t->depth--;
        if (t->depth > 0 && t->low[v] < t->low[t->calls[t->depth - 1]])
            t->low[t->calls[t->depth - 1]] = t->low[v];
        if (t->low[v] == t->index[v])
            close_component(t, v);
    }
}

void graph_components(struct graph *graph, unsigned mask)
{
    const size_t bytes = ((size_t)graph->nodes + 1) * sizeof(uint32_t);
    struct tarjan t = {.graph = graph, .mask = mask};
    t.index = memory_or_die(malloc(bytes));
    t.low = memory_or_die(malloc(bytes));
    t.next = memory_or_die(malloc(bytes));
    t.stack = memory_or_die(malloc(bytes));
    t.calls = memory_or_die(malloc(bytes));
    memset(t.index, 0xff, bytes);
    memset(graph->component, 0xff, bytes);
    graph->components = 0;
    for (uint32_t v = 0; v < graph->nodes; v++)
        if (t.index[v] == NONE)
            walk(&t, v);
    free(t.index);
    free(t.low);
    free(t.next);
    free(t.stack);
    free(t.calls);
}

/* ---- paths ---------------------------------------------------------------------------------------------------- */

/* The edges that lead to TO, turned round. */
static size_t path_read(const struct graph *graph, uint32_t *path, size_t max, uint32_t from,
                        uint32_t to)
{
    size_t len = 0;
    for (uint32_t v = to; v != from; v = graph->edges[graph->via[v]].from) {
        if (len == max)
            return 0;
        path[len++] = graph->via[v];
    }
    for (size_t i = 0; i < len / 2; i++) {
        uint32_t swap = path[i];
        path[i] = path[len - 1 - i];
        path[len - 1 - i] = swap;
    }
    return len;
}

size_t graph_path(struct graph *graph, uint32_t *path, size_t max, uint32_t from, uint32_t to,
                  unsigned mask)
{
    uint32_t head = 0, tail = 0;
    graph->round++;
    graph->seen[from] = graph->round;
    graph->queue[tail++] = from;
    while (head < tail) {
        uint32_t v = graph->queue[head++];
        for (uint32_t e = graph->first[v]; e < graph->first[v + 1]; e++) {
            const struct edge *edge = &graph->edges[e];
            if ((edge->kind & mask) == 0 || graph->seen[edge->to] == graph->round ||
                graph->component[edge->to] != graph->component[from])
                continue;
            graph->seen[edge->to] = graph->round;
            graph->via[edge->to] = e;
            if (edge->to == to)
                return path_read(graph, path, max, from, to);
            graph->queue[tail++] = edge->to;
        }
    }
    return 0;
}

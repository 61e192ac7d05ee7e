/* history/graph.h - a directed graph of many nodes: strongly connected components, and short cycles in them. */
#ifndef HISTORY_GRAPH_H
#define HISTORY_GRAPH_H

#include <stddef.h>
#include <stdint.h>

enum edge_kind { EDGE_WW = 1, EDGE_WR = 2, EDGE_RW = 4, EDGE_RT = 8 };
struct edge {
    uint32_t from, to;
    uint32_t object; /* EDGE_RT: none */
    uint32_t kind;
};

struct graph {
    uint32_t nodes;
    struct edge *edges; /* grows by graph_add; graph_seal sorts them by `from` */
    size_t count, cap;
    uint32_t *first;     /* of each node's edges; own, after graph_seal */
    uint32_t *component; /* of each node, after graph_components; own */
    uint32_t *size;      /* of each component */
    uint32_t components;
    uint32_t *seen, *queue, *via, round; /* of the searches */
};

void graph_init(struct graph *graph, uint32_t nodes);
void graph_deinit(struct graph *graph);
void graph_add(struct graph *graph, uint32_t from, uint32_t to, enum edge_kind kind,
               uint32_t object);
uint32_t graph_node(struct graph *graph); /* one more */
void graph_seal(struct graph *graph);
/* graph_components: Tarjan, over edges of the kinds in MASK. */
void graph_components(struct graph *graph, unsigned mask);
/* graph_path: a shortest way FROM -> TO within one component over kinds in MASK: indices of its edges into PATH, at most MAX.
 * Returns how many; 0 = there is none that short. */
size_t graph_path(struct graph *graph, uint32_t *path, size_t max, uint32_t from, uint32_t to,
                  unsigned mask);
/* memory_or_die: what malloc and realloc gave. */
void *memory_or_die(void *memory);

#endif

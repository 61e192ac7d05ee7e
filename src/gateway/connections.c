#include "gateway/connections.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

static void unlink_waiting(struct connections *list, struct connection *connection)
{
    if (!connection->waiting) {
        return;
    }
    if (connection->next != NULL) {
        connection->next->prev = connection->prev;
    } else {
        list->last = connection->prev;
    }
    if (connection->prev != NULL) {
        connection->prev->next = connection->next;
    } else {
        list->first = connection->next;
    }
    connection->next = connection->prev = NULL;
    connection->waiting = false;
}

struct connection *connections_add(struct connections *list, int fd, uint64_t now_ms)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection != NULL) {
        connection->fd = fd;
        list->count++;
        connections_wait(list, connection, now_ms);
    }
    return connection;
}

void connections_remove(struct connections *list, struct connection *connection)
{
    unlink_waiting(list, connection);
    list->count--;
    free(connection);
}

void connections_wait(struct connections *list, struct connection *connection, uint64_t now_ms)
{
    unlink_waiting(list, connection);
    connection->since_ms = now_ms;
    connection->prev = list->last;
    if (list->last != NULL) {
        list->last->next = connection;
    } else {
        list->first = connection;
    }
    list->last = connection;
    connection->waiting = true;
}

void connections_work(struct connections *list, struct connection *connection)
{
    unlink_waiting(list, connection);
}

void connections_shut(struct connections *list, struct connection *connection)
{
    unlink_waiting(list, connection);
    (void)shutdown(connection->fd, SHUT_RDWR);
}

bool connections_has_left(const struct connection *connection)
{
    struct pollfd look = {.fd = connection->fd, .events = POLLRDHUP};
    return poll(&look, 1, 0) == 1;
}

unsigned connections_cut(struct connections *list, uint64_t since_ms, unsigned count)
{
    unsigned cut = 0;
    while (cut < count && list->first != NULL && list->first->since_ms < since_ms) {
        connections_shut(list, list->first);
        cut++;
    }
    return cut;
}

struct connection *connections_largest(const struct connections *list, uint64_t since_ms)
{
    struct connection *largest = NULL;
    for (struct connection *connection = list->first;
         connection != NULL && connection->since_ms < since_ms; connection = connection->next) {
        if (connection->reply_bytes > (largest != NULL ? largest->reply_bytes : 0)) {
            largest = connection;
        }
    }
    return largest;
}

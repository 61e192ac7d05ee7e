/* gateway/turns.h - no crowd of long requests keeps the loop: what one turn of it gives them has a limit, and the rest waits in line.
 *
 *      whole body --turns_take--> time is left: worked now
 *                            \--> not, or others wait: suspended, in line --turns_run, in the next turns--> worked, or dropped
 *
 * Long is a batch, and a body of more than TURN_BODY_SMALL. Others are worked at once, so that they never wait for more than what a turn gives to
 * long ones, and one of these. What waits keeps its body, which is counted with the bodies of all connections. Whose client has gone by its turn is
 * dropped: what nobody waits for any more does not take the time of those who do. A client that closes its sending side only is not told
 * from one that has gone; the others are told so in docs/rpc/index.md.
 *
 * Thread   L. */
#ifndef GATEWAY_TURNS_H
#define GATEWAY_TURNS_H

#include <stdbool.h>
#include <stdint.h>

struct gateway;
struct http_request;

enum { TURN_MS = 10 /* of a turn, for long ones */, TURN_BODY_SMALL = 4096 };

struct turns {
    struct http_request *first, *last; /* in line */
    uint64_t until_ns;                 /* 0 = the turn has given nothing yet */
};

/* turns_take: may REQUEST, whose body is whole, be worked now? False: it is in line, and http_work will be called. */
bool turns_take(struct http_request *request);

/* turns_leave: REQUEST is not in line any more, if it was. */
void turns_leave(struct http_request *request);

/* turns_run: work those in line while the time lasts, one at least. turns_end: before the loop sleeps. */
void turns_run(struct gateway *gateway);
void turns_end(struct gateway *gateway);

#endif

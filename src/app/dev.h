/* app/dev.h - the development chain as a person meets it: the banner and its pre-signed requests.
 *
 * The requests are the same bytes on every machine: built-in genesis, public keys, Ed25519 is deterministic, no expiry, and
 * each spends the first version of a coin that nothing else touches. Sending one twice gives the same receipt.
 *
 * Thread   start-up and the loop (L). */
#ifndef APP_DEV_H
#define APP_DEV_H

#include <stdio.h>

#include <svm/engine.h>

enum dev_request {
    DEV_REQUEST_FAST,      /* alice pays bob 5 out of her spare coin 0 */
    DEV_REQUEST_CONSENSUS, /* alice's spare coin 1, and the shared counter goes up by one */
    DEV_REQUEST_COUNT
};

/* dev_chain: the chain id of the built-in genesis. */
uint64_t dev_chain(void);

/* dev_request_base64: the signed transaction as text; gives (free). NULL = no memory. */
char *dev_request_base64(enum dev_request request);

/* dev_print_curl: the requests as curl lines for the node at ADDRESS ("127.0.0.1:7878"), one a line. */
void dev_print_curl(FILE *out, const char *address);
/* dev_print_banner: what to know and what to try first. SOCKET "" = none. */
void dev_print_banner(FILE *out, struct svm_engine *engine, const char *address, const char *socket,
                      bool in_memory);

#endif

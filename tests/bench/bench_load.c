/* build/bench/load: the load generator for the socket. docs/load.md tells how to use it. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "bench/load_drive.h"
#include "bench/rig.h"

enum { AUDIT_PAGE = 250 };

struct options {
    struct load_plan plan;
    struct load_spec spec;
    const char *set_path;
    uint32_t audit;
    double verify_s;
    bool make_only;
};

static const char usage[] =
    "usage: load --connect HOST:PORT|unix:PATH [OPTION...]\n"
    "  --connect ADDRESS     a fresh development node (supervmd --dev)\n"
    "  --mode MODE           single, batch (tx_submitBatch) or binary (POST /v1/tx); default "
    "batch\n"
    "  --batch N             transactions of one request; default 100\n"
    "  --wait WAIT           what counts as success: executed or durable (default)\n"
    "  --connections N       default 8\n"
    "  --window N            requests in flight on each connection; default 1\n"
    "  --rate N              open loop: transactions in a second; default 0 = closed loop\n"
    "  --seconds S           timed part, default 10;  --warm S  before it, default 1\n"
    "  --objects N           counters to write to, default 100000\n"
    "  --count N             transactions to sign beforehand, default 1000000\n"
    "  --seed N              of keys and transactions, default 1 (or SVM_SEED)\n"
    "  --set FILE            keep the signed transactions there\n"
    "  --make                make the set and end; --connect is not needed\n"
    "  --verify S            instead: for S seconds verify one signature at a time on every core\n"
    "  --pid PID             of the node: its processor time is told\n"
    "  --audit N             counters to read at the end, default 100000\n";

/* ---- options ------------------------------------------------------------------------------------------------- */

static double number(const char *name, const char *text, double least, double most)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least) || value > most)
        die("%s wants a number from %.0f to %.0f", name, least, most);
    return value;
}

static enum load_mode parse_mode(const char *text)
{
    static const char *const names[] = {"single", "batch", "binary"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum load_mode)i;
    die("--mode is single, batch or binary");
}

static bool parse_plan(struct load_plan *plan, const char *name, const char *value)
{
    if (strcmp(name, "--connect") == 0)
        plan->address = value;
    else if (strcmp(name, "--mode") == 0)
        plan->mode = parse_mode(value);
    else if (strcmp(name, "--batch") == 0)
        plan->batch = (uint32_t)number(name, value, 1, 16384);
    else if (strcmp(name, "--wait") == 0)
        plan->wait = value;
    else if (strcmp(name, "--connections") == 0)
        plan->connections = (uint32_t)number(name, value, 1, 1000);
    else if (strcmp(name, "--window") == 0)
        plan->window = (uint32_t)number(name, value, 1, 1000);
    else if (strcmp(name, "--rate") == 0)
        plan->rate = number(name, value, 0, 1e8);
    else if (strcmp(name, "--seconds") == 0)
        plan->seconds = number(name, value, 0, 86400);
    else if (strcmp(name, "--warm") == 0)
        plan->warm_s = number(name, value, 0, 3600);
    else if (strcmp(name, "--pid") == 0)
        plan->pid = (long)number(name, value, 1, 1e9);
    else
        return false;
    return true;
}

static bool parse_set(struct options *options, const char *name, const char *value)
{
    if (strcmp(name, "--objects") == 0)
        options->spec.objects = (uint32_t)number(name, value, 1, 1e8);
    else if (strcmp(name, "--count") == 0)
        options->spec.count = (uint32_t)number(name, value, 1, 4e9);
    else if (strcmp(name, "--seed") == 0)
        options->spec.seed = strtoull(value, NULL, 10);
    else if (strcmp(name, "--set") == 0)
        options->set_path = value;
    else if (strcmp(name, "--verify") == 0)
        options->verify_s = number(name, value, 0.1, 3600);
    else if (strcmp(name, "--audit") == 0)
        options->audit = (uint32_t)number(name, value, 0, 1e8);
    else
        return false;
    return true;
}

static void parse(struct options *options, int argc, char **argv)
{
    const char *seed = getenv("SVM_SEED");
    *options = (struct options){.plan = {.mode = LOAD_BATCH,
                                         .wait = "durable",
                                         .connections = 8,
                                         .window = 1,
                                         .batch = 100,
                                         .warm_s = 1,
                                         .seconds = 10},
                                .spec = {.objects = 100000, .count = 1000000, .accounts = 1000},
                                .audit = 100000};
    options->spec.seed = seed != NULL ? strtoull(seed, NULL, 10) : 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        }
        if (strcmp(argv[i], "--make") == 0) {
            options->make_only = true;
            continue;
        }
        if (i + 1 == argc || !(parse_plan(&options->plan, argv[i], argv[i + 1]) ||
                               parse_set(options, argv[i], argv[i + 1])))
            die("what is %s? --help tells", argv[i]);
        i++;
    }
    if (options->plan.mode == LOAD_SINGLE)
        options->plan.batch = 1;
    if (options->plan.address == NULL && !options->make_only && options->verify_s <= 0)
        die("--connect is needed; --help tells");
    if (strcmp(options->plan.wait, "executed") != 0 && strcmp(options->plan.wait, "durable") != 0)
        die("--wait is executed or durable");
}

/* ---- the node ------------------------------------------------------------------------------------------------ */

struct node {
    int fd;
    struct wire_bytes out, in;
};

static const char *ask(struct node *node, const char *body, size_t len)
{
    struct wire_response response;
    node->out.len = 0;
    wire_post(&node->out, "/", "application/json", body, len);
    wire_call(&response, &node->in, node->fd, &node->out);
    wire_put(&node->in, "", 1);
    return node->in.ptr + (response.bytes - response.body_len);
}

static const char *ask_method(struct node *node, const char *method)
{
    char body[128];
    const int len =
        snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"}", method);
    return ask(node, body, (size_t)len);
}

/* The number behind NAME, which ends with a colon or an opening quote, within TEXT. */
static uint64_t number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    if (at == NULL)
        die("the node does not tell %s: %.300s", name, text);
    return strtoull(at + strlen(name), NULL, 10);
}

static uint64_t chain_of(struct node *node)
{
    return number_after(ask_method(node, "node_info"), "\"chain\":{\"id\":\"");
}

/* The chain of every development node, without one. */
static uint64_t chain_of_genesis(void)
{
    struct svm_config config;
    struct svm_engine *engine;
    struct svm_chain_info info;
    svm_config_init(&config);
    config.durability = SVM_MEMORY;
    if (svm_engine_open(&engine, &config, NULL) != SVM_OK)
        die("cannot open an engine");
    svm_chain_info(engine, &info);
    svm_engine_close(engine);
    return info.chain;
}

static uint64_t completed_of(struct node *node)
{
    const char *text = strstr(ask_method(node, "stats_routing"), "\"completed\":{");
    if (text == NULL)
        die("the node does not tell what it has completed");
    return number_after(text, "\"fast\":");
}

/* Bytes that the node has written to its log. */
static uint64_t logged_of(struct node *node)
{
    return number_after(ask_method(node, "stats_storage"), "\"logBytes\":");
}

/* Make the counters. A second time is a duplicate, and as good. */
static void set_up(struct node *node, const struct load_set *set)
{
    const uint8_t *at = set->setup;
    const double start = now_s();
    for (uint32_t i = 0; i < set->setup_count; i++) {
        const size_t len = 4 + (size_t)bytes_get_u32le(at);
        const bool last = i + 1 == set->setup_count;
        struct wire_response response;
        node->out.len = 0;
        wire_post(&node->out, last ? "/v1/tx?wait=durable" : "/v1/tx?wait=executed",
                  "application/vnd.supervm.txs+bcs", at, len);
        wire_call(&response, &node->in, node->fd, &node->out);
        const uint8_t *record = (const uint8_t *)response.body;
        if (response.status == 200 && bytes_get_u32le(record) == 0 &&
            (record[4] == 1 || record[4] == 2)) {
            at += len;
            continue;
        }
        const int code = response.status == 200 ? (int)bytes_get_u32le(record) : 0;
        if (response.status != 503 && code != -32006 && code != 1204)
            die("the node does not take the counters (code %d, status %u): is it a fresh "
                "development "
                "node?",
                code, response.status == 200 ? record[4] : response.status);
        usleep(10000);
        i--;
    }
    fprintf(stderr, "load: %u counters in %.1f s\n", set->spec.objects, now_s() - start);
}

/* ---- the audit ----------------------------------------------------------------------------------------------- */

/* How often counter OBJECT was written by the transactions before END. */
static uint64_t expected_of(const struct load_set *set, uint32_t object, uint32_t end)
{
    return object < end ? (end - object - 1) / set->spec.objects + 1 : 0;
}

static void audit_page(struct node *node, const struct load_set *set, uint32_t first,
                       uint32_t count, uint32_t sent)
{
    static const char head[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"object_getMany\",\"params\":{\"ids\":[";
    struct wire_bytes body = {0};
    wire_put(&body, head, sizeof head - 1);
    for (uint32_t i = 0; i < count; i++) {
        char id[67], item[80];
        svm_hex32_format(id, set->ids[first + i].b);
        wire_put(&body, item,
                 (size_t)snprintf(item, sizeof item, "%s\"%s\"", i > 0 ? "," : "", id));
    }
    wire_put(&body, "]}}", 3);
    const char *at = ask(node, body.ptr, body.len);
    for (uint32_t i = 0; i < count; i++) {
        static const char name[] = "\"data\":\"";
        uint8_t data[9];
        size_t len = 0;
        at = strstr(at, name);
        if (at == NULL || !base64_decode(data, sizeof data, &len, at + sizeof name - 1, 12) ||
            len != 8)
            die("the audit fails: counter %u cannot be read: %.200s", first + i,
                at != NULL ? at : node->in.ptr);
        at += sizeof name - 1;
        const uint64_t expected = expected_of(set, first + i, sent);
        if (bytes_get_u64le(data) != expected)
            die("the audit fails: counter %u is %llu and must be %llu", first + i,
                (unsigned long long)bytes_get_u64le(data), (unsigned long long)expected);
    }
    free(body.ptr);
}

static void audit(struct node *node, const struct load_set *set, uint32_t most, uint32_t sent,
                  uint64_t completed_before)
{
    const uint64_t completed = completed_of(node) - completed_before;
    const uint32_t count = most < set->spec.objects ? most : set->spec.objects;
    if (completed != sent)
        die("the audit fails: the node has completed %llu transactions, %u were answered with "
            "success",
            (unsigned long long)completed, sent);
    for (uint32_t at = 0; at < count; at += AUDIT_PAGE)
        audit_page(node, set, at, count - at < AUDIT_PAGE ? count - at : AUDIT_PAGE, sent);
}

/* ---- what the portable path is measured against ---------------------------------------------------------------- */

enum { VERIFIERS_MAX = 64, VERIFY_SIGNATURES = 1024, VERIFY_BYTES = 120 };

/* Different ones, as a node meets them: the processor learns the branches of one that is verified again and again. */
struct verify_set {
    struct svm_dev_account accounts[SVM_DEV_ACCOUNTS];
    struct svm_signature signatures[VERIFY_SIGNATURES];
    uint8_t messages[VERIFY_SIGNATURES][VERIFY_BYTES];
};

struct verifier {
    const struct verify_set *set;
    double seconds;
    uint64_t done;
};

static void verify_set_init(struct verify_set *set)
{
    for (unsigned i = 0; i < SVM_DEV_ACCOUNTS; i++)
        svm_dev_account(&set->accounts[i], i);
    for (unsigned i = 0; i < VERIFY_SIGNATURES; i++) {
        memset(set->messages[i], (int)(i & 0xff), VERIFY_BYTES);
        bytes_put_u32le(set->messages[i], i);
        svm_sign(&set->signatures[i], &set->accounts[i % SVM_DEV_ACCOUNTS].key,
                 (struct svm_bytes){set->messages[i], VERIFY_BYTES});
    }
}

static void *verify_some(void *arg)
{
    struct verifier *verifier = arg;
    const struct verify_set *set = verifier->set;
    const double end = now_s() + verifier->seconds;
    for (uint64_t at = 0; at % 64 != 0 || now_s() < end; at++) {
        const unsigned i = at % VERIFY_SIGNATURES;
        verifier->done +=
            svm_verify(&set->accounts[i % SVM_DEV_ACCOUNTS].public_key, &set->signatures[i],
                       (struct svm_bytes){set->messages[i], VERIFY_BYTES});
    }
    return NULL;
}

static void report_verify_rate(double seconds)
{
    pthread_t threads[VERIFIERS_MAX];
    struct verifier verifiers[VERIFIERS_MAX];
    static struct verify_set set;
    cpu_set_t cpus;
    uint64_t done = 0;
    CPU_ZERO(&cpus);
    const int cores = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    const int n = cores > VERIFIERS_MAX ? VERIFIERS_MAX : cores;
    verify_set_init(&set);
    const double start = now_s();
    for (int i = 0; i < n; i++) {
        verifiers[i] = (struct verifier){.set = &set, .seconds = seconds};
        if (pthread_create(&threads[i], NULL, verify_some, &verifiers[i]) != 0)
            die("cannot start a thread");
    }
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        done += verifiers[i].done;
    }
    printf("{\"row\":\"verify-one-by-one\",\"value\":%.0f,\"unit\":\"/s\",\"cores\":%d}\n",
           (double)done / (now_s() - start), n);
}

/* ---- the report ---------------------------------------------------------------------------------------------- */

/* LOGGED: bytes of log that all that was SENT has taken. */
static void report(const struct options *options, const struct load_outcome *outcome,
                   uint64_t logged)
{
    static const char *const modes[] = {"single", "batch", "binary"};
    const struct load_plan *plan = &options->plan;
    const struct hist *latency = &outcome->latency;
    const double timed = outcome->timed > 0 ? (double)outcome->timed : 1;
    printf("{\"row\":\"socket-%s\",\"value\":%.0f,\"unit\":\"/s\",\"wait\":\"%s\",\"loop\":\"%s\","
           "\"rate\":%.0f,\"connections\":%u,\"window\":%u,\"batch\":%u,\"seconds\":%.2f,"
           "\"done\":%llu,\"sent\":%u,\"retries\":%llu,\"requests\":%llu,\"exhausted\":%s,",
           modes[plan->mode], (double)outcome->timed / outcome->seconds, plan->wait,
           plan->rate > 0 ? "open" : "closed", plan->rate, plan->connections, plan->window,
           plan->batch, outcome->seconds, (unsigned long long)outcome->timed, outcome->sent,
           (unsigned long long)outcome->retries, (unsigned long long)outcome->requests,
           outcome->exhausted ? "true" : "false");
    printf("\"p50_us\":%.1f,\"p95_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,",
           (double)hist_percentile(latency, 500000) / 1e3,
           (double)hist_percentile(latency, 950000) / 1e3,
           (double)hist_percentile(latency, 990000) / 1e3,
           (double)hist_percentile(latency, 999000) / 1e3, (double)hist_max(latency) / 1e3);
    printf("\"log_bytes\":%.1f,", (double)logged / (outcome->sent > 0 ? outcome->sent : 1));
    printf("\"load_cpu_s\":%.3f,\"node_cpu_s\":%.3f,\"load_cpu_us\":%.2f,\"node_cpu_us\":%.2f,"
           "\"objects\":%u,\"seed\":%llu}\n",
           outcome->self_cpu_s, outcome->node_cpu_s, outcome->self_cpu_s * 1e6 / timed,
           outcome->node_cpu_s * 1e6 / timed, options->spec.objects,
           (unsigned long long)options->spec.seed);
}

int main(int argc, char **argv)
{
    static struct load_outcome outcome;
    struct options options;
    struct load_set set;
    struct node node = {.fd = -1};
    parse(&options, argc, argv);
    if (options.verify_s > 0) {
        report_verify_rate(options.verify_s);
        return 0;
    }
    fprintf(stderr, "load: seed %llu\n", (unsigned long long)options.spec.seed);
    if (options.plan.address != NULL) {
        node.fd = wire_dial(options.plan.address);
        options.spec.chain = chain_of(&node);
        close(node.fd); /* signing may take longer than an idle connection lives */
    } else {
        options.spec.chain = chain_of_genesis();
    }
    load_set_open(&set, &options.spec, options.set_path);
    if (!options.make_only) {
        if (options.plan.mode != LOAD_BINARY)
            load_set_text(&set);
        node.fd = wire_dial(options.plan.address);
        set_up(&node, &set);
        load_settle(options.plan.pid);
        if (options.plan.pid != 0) {
            (void)ask_method(&node, "admin_compact");
            load_settle(options.plan.pid);
        }
        const uint64_t completed = completed_of(&node), logged = logged_of(&node);
        load_drive(&outcome, &set, &options.plan);
        if (outcome.retries > 0)
            fprintf(stderr, "load: the node asked to send again, first: %s\n", outcome.why);
        audit(&node, &set, options.audit, outcome.sent, completed);
        report(&options, &outcome, logged_of(&node) - logged);
        close(node.fd);
        free(node.out.ptr);
        free(node.in.ptr);
    }
    load_set_close(&set);
    return 0;
}

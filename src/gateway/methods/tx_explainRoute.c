#include "gateway/convert.h"
#include "gateway/gen/rpc_methods.h"

_Static_assert((int)RPC_ROUTE_RULE_PRIVATE == SVM_RULE_PRIVATE &&
                   (int)RPC_ROUTE_RULE_REFUSED == SVM_RULE_REFUSED &&
                   (int)RPC_ROUTE_RULE_NO_INPUT == SVM_RULE_NO_INPUT,
               "the contract's RouteRule follows enum svm_route_rule");

static void fill_input(struct rpc_route_input *out, const struct svm_route_input *in)
{
    const bool live = in->known && !in->deleted;
    *out = (struct rpc_route_input){.id = in->id,
                                    .known = in->known,
                                    .deleted = in->deleted,
                                    .declared = (enum rpc_kind)in->declared,
                                    .actual = (enum rpc_kind)in->actual,
                                    .has_actual = live,
                                    .exact = in->exact,
                                    .given = in->given,
                                    .has_given = in->exact,
                                    .current = in->current,
                                    .has_current = in->known,
                                    .owner = in->owner,
                                    .has_owner = live && in->actual == SVM_KIND_OWNED};
}

const struct rpc_answer *tx_explain_route_handle(struct rpc_call *call,
                                                 const struct rpc_tx_explain_route_params *params)
{
    const bool is_signed = params->has_signed_ ? params->signed_ : convert_is_signed(params->tx);
    struct svm_refusal refusal = {0};
    struct svm_route *route = arena_get_zeroed(rpc_arena(call), 1, sizeof *route);
    if (route == NULL) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    const enum svm_err err =
        svm_explain_route(rpc_engine(call), params->tx, is_signed, route, &refusal);
    if (err != SVM_OK) {
        return rpc_fail_refusal(call, err, &refusal);
    }
    struct rpc_route_input *inputs =
        arena_get(rpc_arena(call), route->input_count * sizeof *inputs);
    if (inputs == NULL) {
        return rpc_fail(call, SVM_E_NO_MEMORY);
    }
    for (size_t i = 0; i < route->input_count; i++) {
        fill_input(&inputs[i], &route->inputs[i]);
    }
    const struct rpc_error error = {.err = route->err, .refusal = &route->refusal};
    const struct rpc_tx_explain_route_result result = {.path = (enum rpc_path)route->path,
                                                       .rule = (enum rpc_route_rule)route->rule,
                                                       .error =
                                                           route->err != SVM_OK ? &error : NULL,
                                                       .seq = route->seq,
                                                       .inputs = inputs,
                                                       .inputs_count = route->input_count};
    return rpc_ok_tx_explain_route(call, &result);
}

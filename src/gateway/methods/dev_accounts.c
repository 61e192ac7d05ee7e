#include "gateway/gen/rpc_methods.h"
#include <string.h>

#include "gateway/state.h"
#include <svm/tx.h>

const struct rpc_answer *dev_accounts_handle(struct rpc_call *call,
                                             const struct rpc_dev_accounts_params *params)
{
    const struct svm_dev_account *accounts = rpc_gateway(call)->dev_accounts;
    struct rpc_dev_account items[SVM_DEV_ACCOUNTS];
    (void)params;
    for (unsigned i = 0; i < SVM_DEV_ACCOUNTS; i++) {
        const struct svm_dev_account *account = &accounts[i];
        items[i] = (struct rpc_dev_account){
            .name = account->name, .address = account->address, .coin = account->coin};
        memcpy(items[i].public_key.b, account->public_key.b, sizeof items[i].public_key.b);
        memcpy(items[i].secret_key.b, account->key.seed, sizeof items[i].secret_key.b);
    }
    const struct rpc_dev_accounts_result result = {.items = items, .items_count = SVM_DEV_ACCOUNTS};
    return rpc_ok_dev_accounts(call, &result);
}

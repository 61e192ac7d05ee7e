// one each way, one failed, one refused
@tx pay alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
@tx count bob {"inputs":[{"kind":"shared","id":"$counter","mutable":true},{"kind":"owned","id":"$bob_spare_0","version":"1"}],"ops":[{"op":"add","input":0,"offset":0,"delta":"1"}]}
@tx much carol {"inputs":[{"kind":"owned","id":"$carol_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"1001"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submitBatch","params":{"txs":["$pay","$count","$much","AAAA"]}}
<< {"jsonrpc":"2.0","id":1,"result":{"items":["$_","$_","$_","$_"]}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$pay"}}
<< {"jsonrpc":"2.0","id":1,"result":{"duplicate":true,"...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"stats_routing","params":{}}
<< {"jsonrpc":"2.0","id":1,"result":{"sinceMs":"$_","nowMs":"$_","submitted":5,"routed":{"fast":2,"consensus":1,"private":0},"completed":{"fast":1,"consensus":1,"private":0},"failed":{"fast":1,"consensus":0,"private":0},"fastPpm":666667,"consensusPpm":333333,"privatePpm":0,"fallbacks":{"CONTENDED":0},"fallbackPpm":0,"refused":{"TX_DECODE":1},"conflicts":"$_","retries":"$_","duplicates":1,"ratesMilli":{"last1s":"$_","last10s":"$_","last60s":"$_"},"latency":{"fast":{"total":{"count":2,"...":0},"...":0},"consensus":{"total":{"count":1,"...":0},"...":0}},"objects":{"owned":"$_","shared":2,"immutable":1},"transfers":1}}

// a failure does not stop the others
@tx one alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
@tx two bob {"inputs":[{"kind":"owned","id":"$bob_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$alice","amount":"7"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submitBatch","params":{"txs":["$one","AAAA","$two"]}}
<< {"jsonrpc":"2.0","id":1,"result":{"items":[{"result":{"digest":"$one_digest","status":"executed","...":0},"error":null},{"result":null,"error":{"code":1001,"message":"$_","data":{"name":"TX_DECODE","retry":"never","...":0}}},{"result":{"digest":"$two_digest","status":"executed","...":0},"error":null}]}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submitBatch","params":{"txs":[]}}
<< {"jsonrpc":"2.0","id":1,"result":{"items":[]}}

// executed and failed: a result, and the owned input is consumed
@tx much alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"1001"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$much"}}
<< {"jsonrpc":"2.0","id":1,"result":{"digest":"$much_digest","status":"failed","seq":"1","durableSeq":"0","failure":{"name":"INSUFFICIENT_BALANCE","op":0},"effects":{"created":[],"mutated":[{"id":"$alice_spare_0","version":"2","kind":"owned","owner":"$alice"}],"deleted":[]},"...":0}}

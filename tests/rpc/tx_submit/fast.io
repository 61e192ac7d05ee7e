// alice pays bob from a coin that she alone owns: the fast path
@tx pay alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$pay"}}
<< {"jsonrpc":"2.0","id":1,"result":{"digest":"$pay_digest","status":"executed","duplicate":false,"path":"fast","fallback":null,"seq":"1","durableSeq":"0","gasUsed":"$gas","latencyUs":"$_","failure":null,"effects":{"created":[{"id":"$new","version":"$_","kind":"owned","owner":"$bob"}],"mutated":[{"id":"$alice_spare_0","version":"2","kind":"owned","owner":"$alice"}],"deleted":[]}}}
>> {"jsonrpc":"2.0","id":1,"method":"object_get","params":{"id":"$new"}}
<< {"jsonrpc":"2.0","id":1,"result":{"object":{"id":"$new","version":"$_","kind":"owned","owner":"$bob","controller":null,"openWithdraw":false,"balance":"5","type":"coin","data":"","createdMs":"$_","modifiedMs":"$_","lastTx":"$pay_digest"},"seq":"1","durableSeq":"0"}}

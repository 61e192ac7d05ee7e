// wait none: admitted, with the digest; tx_wait tells the rest
@tx pay alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","id":1,"method":"tx_submit","params":{"tx":"$pay","wait":"none"}}
<< {"jsonrpc":"2.0","id":1,"result":{"digest":"$pay_digest","status":"pending","duplicate":false,"path":null,"fallback":null,"seq":null,"durableSeq":"0","gasUsed":null,"latencyUs":null,"failure":null,"effects":null}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_wait","params":{"digest":"$pay_digest","wait":"executed"}}
<< {"jsonrpc":"2.0","id":1,"result":{"digest":"$pay_digest","status":"executed","sender":"$alice","...":0}}

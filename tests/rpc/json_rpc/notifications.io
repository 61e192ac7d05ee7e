// executed, and not answered
>> {"jsonrpc":"2.0","method":"node_health"}
<<
>> {"jsonrpc":"2.0","method":"no_such_method"}
<<
>> {"jsonrpc":"2.0","method":"node_health","params":{"x":1}}
<<
>> [{"jsonrpc":"2.0","method":"node_health"},{"jsonrpc":"2.0","method":"object_get","params":["$counter"]}]
<<
@tx pay alice {"inputs":[{"kind":"owned","id":"$alice_spare_0","version":"1"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"5"}]}
>> {"jsonrpc":"2.0","method":"tx_submit","params":["$pay"]}
<<
>> {"jsonrpc":"2.0","id":1,"method":"tx_get","params":["$pay_digest"]}
<< {"jsonrpc":"2.0","id":1,"result":{"status":"executed","...":0}}

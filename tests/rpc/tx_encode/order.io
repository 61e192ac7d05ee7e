// inputs are sorted, and the operations follow them
>> {"jsonrpc":"2.0","id":1,"method":"tx_encode","params":{"transaction":{"chain":"1","sender":"$alice","inputs":[{"kind":"owned","id":"0x0909090909090909090909090909090909090909090909090909090909090909","version":"1"},{"kind":"owned","id":"0x0101010101010101010101010101010101010101010101010101010101010101","version":"1"}],"ops":[{"op":"move","from":0,"into":1,"amount":"2"}]}}}
<< {"jsonrpc":"2.0","id":1,"result":{"tx":"$tx","digest":"$_","signingMessage":"$_"}}
>> {"jsonrpc":"2.0","id":1,"method":"tx_decode","params":{"tx":"$tx"}}
<< {"jsonrpc":"2.0","id":1,"result":{"transaction":{"inputs":[{"id":"0x0101010101010101010101010101010101010101010101010101010101010101","...":0},{"id":"0x0909090909090909090909090909090909090909090909090909090909090909","...":0}],"ops":[{"op":"move","from":1,"into":0,"amount":"2"}],"...":0},"...":0}}

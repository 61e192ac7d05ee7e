// an amount of nothing
>> {"jsonrpc":"2.0","id":1,"method":"tx_encode","params":{"transaction":{"sender":"$alice","inputs":[{"kind":"owned","id":"$alice_coin"}],"ops":[{"op":"pay","from":0,"to":"$bob","amount":"0"}]}}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1302,"message":"$_","data":{"name":"OP_INVALID","retry":"$_","...":0}}}
// a field of another operation
>> {"jsonrpc":"2.0","id":1,"method":"tx_encode","params":{"transaction":{"sender":"$alice","inputs":[],"ops":[{"op":"freeze","input":0,"amount":"5"}]}}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"transaction.ops[0].amount","expected":"$_","got":"$_"}}}
// a field that is missing
>> {"jsonrpc":"2.0","id":1,"method":"tx_encode","params":{"transaction":{"sender":"$alice","inputs":[],"ops":[{"op":"pay","from":0,"to":"$bob"}]}}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"transaction.ops[0].amount","expected":"$_","got":"nothing"}}}
// an operation that does not exist
>> {"jsonrpc":"2.0","id":1,"method":"tx_encode","params":{"transaction":{"sender":"$alice","inputs":[],"ops":[{"op":"trasnfer","input":0,"to":"$bob"}]}}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"transaction.ops[0].op","expected":"$_","got":"$_","didYouMean":"transfer"}}}
// 2^64
>> {"jsonrpc":"2.0","id":1,"method":"tx_encode","params":{"transaction":{"sender":"$alice","nonce":"18446744073709551616","inputs":[],"ops":[]}}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"transaction.nonce","expected":"$_","got":"$_"}}}
// more than 2^53-1 as an integer would have been rounded elsewhere
>> {"jsonrpc":"2.0","id":1,"method":"tx_encode","params":{"transaction":{"sender":"$alice","nonce":9007199254740992,"inputs":[],"ops":[]}}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"transaction.nonce","expected":"$_","got":"$_"}}}
// a short address
>> {"jsonrpc":"2.0","id":1,"method":"tx_encode","params":{"transaction":{"sender":"0x12","inputs":[],"ops":[]}}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"transaction.sender","expected":"0x and 64 hex digits","got":"$_"}}}

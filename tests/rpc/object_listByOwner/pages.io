// six objects in pages of four
>> {"jsonrpc":"2.0","id":1,"method":"object_listByOwner","params":{"owner":"$alice","limit":4}}
<< {"jsonrpc":"2.0","id":1,"result":{"items":["$_","$_","$_","$_"],"nextCursor":"$cursor","seq":"0","durableSeq":"0"}}
>> {"jsonrpc":"2.0","id":1,"method":"object_listByOwner","params":{"owner":"$alice","limit":4,"cursor":"$cursor"}}
<< {"jsonrpc":"2.0","id":1,"result":{"items":["$_","$_"],"nextCursor":null,"seq":"0","durableSeq":"0"}}
// the cursor of another query
>> {"jsonrpc":"2.0","id":1,"method":"object_listByOwner","params":{"owner":"$bob","limit":4,"cursor":"$cursor"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1304,"message":"$_","data":{"name":"BAD_CURSOR","retry":"never","param":"cursor","expected":"nextCursor of the page before, with the same owner and kind","got":"$cursor"}}}
>> {"jsonrpc":"2.0","id":1,"method":"object_listByOwner","params":{"owner":"$alice","kind":"owned","cursor":"$cursor"}}
<< {"jsonrpc":"2.0","id":1,"error":{"code":1304,"message":"$_","data":{"name":"BAD_CURSOR","retry":"never","param":"cursor","expected":"nextCursor of the page before, with the same owner and kind","got":"$cursor"}}}
>> {"jsonrpc":"2.0","id":1,"method":"object_listByOwner","params":{"owner":"$alice","kind":"shared"}}
<< {"jsonrpc":"2.0","id":1,"result":{"items":[],"nextCursor":null,"...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"object_listByOwner","params":["$alice","owned",1]}
<< {"jsonrpc":"2.0","id":1,"result":{"items":[{"owner":"$alice","kind":"owned","...":0}],"nextCursor":"$_","...":0}}
>> {"jsonrpc":"2.0","id":1,"method":"object_listByOwner","params":["$alice",null,1001]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"$_","data":{"name":"INVALID_PARAMS","retry":"$_","param":"limit","expected":"integer from 1 to 1000","got":"integer 1001"}}}

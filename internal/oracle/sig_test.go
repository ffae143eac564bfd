package oracle
import ("testing";"fmt"
"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/request"
"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/signer"
"reflect")
func TestX(t *testing.T){
 r:=request.NewHttpRequestBuilder().WithEndpoint("http://127.0.0.1:9915").WithMethod("POST").WithPath("/v1/a4da8115c9d8464ead3a38309130523f/session/user-connection").AddQueryParam("offset",reflect.ValueOf(int32(0))).AddQueryParam("limit",reflect.ValueOf(int32(10))).AddHeaderParam("Content-Type","application/json").AddHeaderParam("X-Sdk-Date","20260311T120000Z").AddHeaderParam("host","127.0.0.1:9915").WithBody("",map[string]string{"user_name":"a b/ü~*+@x"}).Build()
 b,_:=r.GetBodyToBytes(); fmt.Printf("%q\n",b.String())
 fmt.Println(signer.Sign(r,"AK","SK"))
}

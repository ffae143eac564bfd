package failurecode

import (
	"regexp"
	"strings"
)

// Classes of the explanations that are built in. Users have others.
const (
	credentials = "credentials" // what the user typed is wrong, or not valid any more
	account     = "account"     // the directory does not let this account in
	request     = "request"     // the service refuses what it was asked for
	service     = "service"     // the service fails
	noCode      = "unknown"     // the record has no code
	noOutcome   = "no_outcome"  // nothing says how the login ended
)

// Where the explanations that are built in come from.
const (
	own         = "workspace_exporter"
	windows1300 = "https://learn.microsoft.com/en-us/windows/win32/debug/system-error-codes--1300-1699-"
	windows1700 = "https://learn.microsoft.com/en-us/windows/win32/debug/system-error-codes--1700-3999-"
	vendor      = "Huawei Cloud Workspace, API reference, Application Error Codes (2026-05-21)"
)

// builtIn explains what a public source states the meaning of.
func builtIn(code, reason string) Explanation {
	if strings.Contains(reason, "data ") { // which costs less than the expression
		if m := subCode.FindStringSubmatch(reason); m != nil {
			if e, ok := directory[strings.ToLower(m[1])]; ok {
				return e
			}
		}
	}
	return codes[code]
}

// codes are explanations of codes.
//
// The vendor has published no list of failed_code. Of the errors of its API, which are of
// the same form, those are here on whose meaning its pages agree: WKS.00081102 is missing,
// which one page calls a policy group and another a missing permission.
var codes = map[string]Explanation{
	"unknown": {Class: noCode, Source: own,
		Text: "The login failed with a reason, but without a code", TextZH: "登录失败，有原因但没有失败码",
		Action: "Read the reason", ActionZH: "查看失败原因"},
	"pending_timeout": {Class: noOutcome, Source: own,
		Text: "The login neither started nor failed within pending_timeout", TextZH: "登录在 pending_timeout 内既未成功也未失败",
		Action: "See whether the servers of the group accept connections and the network to them is up", ActionZH: "检查组内服务器能否接受连接，以及到服务器的网络是否正常"},
	"WKS.0001":     {Class: request, Source: vendor, Text: "The request is empty", TextZH: "请求为空"},
	"WKS.00139901": {Class: request, Source: vendor, Text: "The request about an application group is invalid", TextZH: "应用组请求无效"},
	"WKS.00169901": {Class: request, Source: vendor, Text: "The request about a server is invalid", TextZH: "服务器请求无效"},
	"WKS.00211102": {Class: request, Source: vendor, Text: "A parameter is invalid", TextZH: "参数无效"},
	"WKS.00211103": {Class: request, Source: vendor, Text: "The request conflicts with another one", TextZH: "请求冲突"},
	"WKS.00211401": {Class: service, Source: vendor, Text: "The operation failed", TextZH: "操作失败"},
}

// subCode finds the sub-code in a reason of Active Directory, such as "80090308: LdapErr:
// DSID-0C09042A, comment: AcceptSecurityContext error, data 52e, v3839". It is a Windows
// error in hexadecimal.
var subCode = regexp.MustCompile(`(?i)(?:ldap|AcceptSecurityContext).*\bdata 0*([0-9a-f]{3})\b`)

// directory are explanations of sub-codes.
var directory = map[string]Explanation{
	"525": {Class: credentials, Source: windows1300, URL: windows1300, Text: "The directory does not know the user", TextZH: "目录中没有该用户",
		Action: "Check the user's name and domain", ActionZH: "核对用户名和所属的域"},
	"52e": {Class: credentials, Source: windows1300, URL: windows1300, Text: "The user name or the password is wrong", TextZH: "用户名或密码错误",
		Action: "Let the user try again; look for saved passwords, and for one source that tries many users", ActionZH: "让用户重试；检查客户端保存的旧密码，以及是否有同一来源在尝试多个用户"},
	"52f": {Class: account, Source: windows1300, URL: windows1300, Text: "A restriction of the account keeps the user out", TextZH: "帐户限制阻止该用户登录",
		Action: "Check the account's restrictions in the directory: empty passwords, logon hours, policies", ActionZH: "在目录中检查帐户限制：空密码、登录时段、策略"},
	"530": {Class: account, Source: windows1300, URL: windows1300, Text: "The account may not log on at this time", TextZH: "该帐户当前时段不允许登录",
		Action: "Check the account's logon hours in the directory", ActionZH: "在目录中检查该帐户允许的登录时段"},
	"531": {Class: account, Source: windows1300, URL: windows1300, Text: "The account may not log on to this computer", TextZH: "该帐户不允许登录此计算机",
		Action: "Check the computers that the account may log on to in the directory", ActionZH: "在目录中检查该帐户允许登录的计算机"},
	"532": {Class: credentials, Source: windows1300, URL: windows1300, Text: "The password has expired", TextZH: "密码已过期",
		Action: "Let the user change the password", ActionZH: "让用户修改密码"},
	"533": {Class: account, Source: windows1300, URL: windows1300, Text: "The account is disabled", TextZH: "帐户已禁用",
		Action: "Enable the account in the directory, or let the user know", ActionZH: "在目录中启用该帐户，或告知用户"},
	"701": {Class: account, Source: windows1700, URL: windows1700, Text: "The account has expired", TextZH: "帐户已过期",
		Action: "Extend the account in the directory, or let the user know", ActionZH: "在目录中延长该帐户的有效期，或告知用户"},
	"773": {Class: credentials, Source: windows1700, URL: windows1700, Text: "The password must be changed before the first logon", TextZH: "首次登录前必须更改密码",
		Action: "Let the user change the password", ActionZH: "让用户修改密码"},
	"775": {Class: account, Source: windows1700, URL: windows1700, Text: "The account is locked", TextZH: "帐户已锁定",
		Action: "Find out what tried wrong passwords, then unlock the account in the directory", ActionZH: "先查明错误密码的来源，再在目录中解锁帐户"},
}

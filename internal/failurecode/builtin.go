package failurecode

import "regexp"

// Classes of the explanations that are built in. Users have others.
const (
	credentials = "credentials" // what the user typed is wrong, or not valid any more
	account     = "account"     // the directory does not let this account in
	request     = "request"     // the service refuses what it was asked for
	service     = "service"     // the service fails
	noOutcome   = "no_outcome"  // nothing says how the login ended
)

// Where the explanations that are built in come from.
const (
	own         = "workspace_exporter"
	windows1300 = "https://learn.microsoft.com/en-us/windows/win32/debug/system-error-codes--1300-1699-"
	windows1700 = "https://learn.microsoft.com/en-us/windows/win32/debug/system-error-codes--1700-3999-"
	vendor      = "Huawei Cloud Workspace, API reference, Application Error Codes (2026-05-21)"
)

// builtIn are explanations of which a public source says that they are true.
//
// The vendor has published no list of failed_code. Of the errors of its API, which are of
// the same form, those are here on whose meaning its pages agree: WKS.00081102 is missing,
// which one page calls a policy group and another a missing permission.
var builtIn = Rules{
	{Code: "unknown", Explanation: Explanation{Class: noOutcome, Source: own,
		Text: "The login failed with a reason, but without a code", TextZH: "登录失败,有原因但没有失败码",
		Action: "Read the reason"}},
	{Code: "pending_timeout", Explanation: Explanation{Class: noOutcome, Source: own,
		Text: "The login neither started nor failed within pending_timeout", TextZH: "登录在 pending_timeout 内既未成功也未失败",
		Action: "See whether the servers of the group accept connections and the network to them is up"}},

	directory("525", windows1300, credentials, "The directory does not know the user", "目录中没有该用户",
		"Check the user's name and domain"),
	directory("52e", windows1300, credentials, "The user name or the password is wrong", "用户名或密码错误",
		"Let the user try again; look for saved passwords, and for one source that tries many users"),
	directory("52f", windows1300, account, "A restriction of the account keeps the user out", "帐户限制阻止该用户登录",
		"Check the account's restrictions in the directory: empty passwords, logon hours, policies"),
	directory("530", windows1300, account, "The account may not log on at this time", "该帐户当前时段不允许登录",
		"Check the account's logon hours in the directory"),
	directory("531", windows1300, account, "The account may not log on to this computer", "该帐户不允许登录此计算机",
		"Check the computers that the account may log on to in the directory"),
	directory("532", windows1300, credentials, "The password has expired", "密码已过期",
		"Let the user change the password"),
	directory("533", windows1300, account, "The account is disabled", "帐户已禁用",
		"Enable the account in the directory, or let the user know"),
	directory("701", windows1700, account, "The account has expired", "帐户已过期",
		"Extend the account in the directory, or let the user know"),
	directory("773", windows1700, credentials, "The password must be changed before the first logon", "首次登录前必须更改密码",
		"Let the user change the password"),
	directory("775", windows1700, account, "The account is locked", "帐户已锁定",
		"Find out what tried wrong passwords, then unlock the account in the directory"),

	{Code: "WKS.0001", Explanation: Explanation{Class: request, Source: vendor, Text: "The request is empty", TextZH: "请求为空"}},
	{Code: "WKS.00139901", Explanation: Explanation{Class: request, Source: vendor, Text: "The request about an application group is invalid", TextZH: "应用组请求无效"}},
	{Code: "WKS.00169901", Explanation: Explanation{Class: request, Source: vendor, Text: "The request about a server is invalid", TextZH: "服务器请求无效"}},
	{Code: "WKS.00211102", Explanation: Explanation{Class: request, Source: vendor, Text: "A parameter is invalid", TextZH: "参数无效"}},
	{Code: "WKS.00211103", Explanation: Explanation{Class: request, Source: vendor, Text: "The request conflicts with another one", TextZH: "请求冲突"}},
	{Code: "WKS.00211401", Explanation: Explanation{Class: service, Source: vendor, Text: "The operation failed", TextZH: "操作失败"}},
}

// directory explains a sub-code in a reason of Active Directory, such as "80090308:
// LdapErr: DSID-0C09042A, comment: AcceptSecurityContext error, data 52e, v3839". It is a
// Windows error in hexadecimal.
func directory(code, source, class, text, textZH, action string) Rule {
	return Rule{Reason: regexp.MustCompile(`(?i)(?:ldap|AcceptSecurityContext).*\bdata 0*` + code + `\b`),
		Explanation: Explanation{Class: class, Text: text, TextZH: textZH, Action: action, URL: source, Source: source}}
}

package main

// text is what is said in one language.
type text struct{ title, description string }

// translations of one text, by language. The tests see to it that none is missing, and
// that none is unused.
type translations map[string]text

var languages = []string{"en", "zh"}

// texts is all that the dashboards say, by key: a page's name, then its panels and
// rows; "variable." and "annotation." with their names; and words alone.
var texts = map[string]translations{
	// Pages
	"overview": {
		"en": {"Workspace / Overview", "Can people log in, how many cannot, why, where, with which client? The tables and numbers at the top are of the chosen window, the graphs of the time shown."},
		"zh": {"Workspace / 总览", "用户能登录吗？多少人不能？为什么？在哪里？用什么客户端？上方数值和表格按所选窗口统计，图按所选时间显示。"},
	},
	"login-failures": {
		"en": {"Workspace / Login failures", "Where every alert leads: is it real, how big, how wide, why, where, which client, who."},
		"zh": {"Workspace / 登录失败", "所有告警都链接到此页：是否属实、规模、范围、原因、位置、客户端、用户。"},
	},
	"login-time": {
		"en": {"Workspace / Login time and sessions", "How long people wait for a login, and how long they stay."},
		"zh": {"Workspace / 登录耗时与会话", "用户登录要等多久，会话持续多久。"},
	},
	"versions": {
		"en": {"Workspace / Versions", "Did the roll-out break it? Logins by agent version, client version and client system."},
		"zh": {"Workspace / 版本", "升级是否引发了故障？按 Agent 版本、客户端版本和客户端系统统计登录。"},
	},
	"servers": {
		"en": {"Workspace / Servers", "Load, failures and balance of the servers of application streaming."},
		"zh": {"Workspace / 服务器", "云应用服务器的负载、失败与均衡情况。"},
	},
	"capacity": {
		"en": {"Workspace / Capacity", "Is there room, and what stands in its way? Application servers and cloud desktops as they are now. Needs the sources servers and desktops."},
		"zh": {"Workspace / 容量", "还有余量吗？受什么影响？云应用服务器和云桌面的当前状态。需要启用 servers 和 desktops 采集源。"},
	},
	"applications": {
		"en": {"Workspace / Applications", "Which application fails, why, and how many people open what. Needs the source app_connections."},
		"zh": {"Workspace / 应用", "哪个应用打不开？为什么？多少人在使用？需要启用 app_connections 采集源。"},
	},
	"exporter": {
		"en": {"Workspace / Exporter", "Can the other pages be believed? Age of the data, polls, requests and the process itself."},
		"zh": {"Workspace / exporter 状态", "其他页面可信吗？数据新鲜度、轮询、API 请求以及 exporter 进程。"},
	},
	"records": {
		"en": {"Workspace / Failed records", "The failed logins and application launches one by one, as the exporter logs them. Needs Loki."},
		"zh": {"Workspace / 失败记录", "exporter 日志中的单条失败登录与失败应用启动。需要 Loki。"},
	},

	// Variables
	"variable.datasource": {
		"en": {"Data source", "The Prometheus server that scrapes the exporter."},
		"zh": {"Prometheus 数据源", "抓取 exporter 的 Prometheus 服务器。"},
	},
	"variable.job": {
		"en": {"Job", "The scrape job of the exporter."},
		"zh": {"作业", "exporter 的抓取作业。"},
	},
	"variable.instance": {
		"en": {"Instance", "The exporter's address."},
		"zh": {"实例", "exporter 的地址。"},
	},
	"variable.project": {
		"en": {"Project", "A project of the exporter's configuration."},
		"zh": {"项目", "exporter 配置中的项目。"},
	},
	"variable.product": {
		"en": {"Product", "app_streaming for application streaming, desktop for cloud desktops."},
		"zh": {"产品", "app_streaming 为云应用，desktop 为云桌面。"},
	},
	"variable.desktop_group": {
		"en": {"Desktop group", "Desktops have none: choose the product instead."},
		"zh": {"桌面组", "云桌面没有组，请改用“产品”筛选。"},
	},
	"variable.machine_name": {
		"en": {"Server", "The server of the login."},
		"zh": {"服务器", "登录所在的服务器。"},
	},
	"variable.app_group": {
		"en": {"Application group", "The group of the application."},
		"zh": {"应用组", "应用所在的组。"},
	},
	"variable.app_name": {
		"en": {"Application", "The application as the API names it, which may begin with its group."},
		"zh": {"应用", "API 中的应用名称，可能以应用组名开头。"},
	},
	"variable.failed_code": {
		"en": {"Failure code", "The vendor's code of the failure. For desktops, which have none, it is made of the reason."},
		"zh": {"失败码", "厂商的失败码。云桌面没有失败码，由失败原因生成。"},
	},
	"variable.client_type": {
		"en": {"Client system", "The operating system of the client."},
		"zh": {"客户端系统", "客户端的操作系统。"},
	},
	"variable.source": {
		"en": {"Source", "A source of the exporter's configuration."},
		"zh": {"采集源", "exporter 配置中的采集源。"},
	},
	"variable.window": {
		"en": {"Within", "How far back the numbers and tables look that are of now, and the window of distinct users. Write 15m or 1h: users are counted only for the windows in user_windows of the configuration."},
		"zh": {"统计窗口", "当前数值和表格回看的时长，也是统计不同用户数的窗口。请填写 15m 或 1h：用户数仅支持配置 user_windows 中的窗口。"},
	},
	"variable.loki_datasource": {
		"en": {"Loki data source", "The Loki that collects the exporter's log of failed logins."},
		"zh": {"Loki 数据源", "收集 exporter 失败登录日志的 Loki。"},
	},
	"variable.loki_job": {
		"en": {"Loki job", "The label job of the log lines with failed records, a regular expression."},
		"zh": {"Loki 作业", "失败记录日志的 job 标签，正则表达式。"},
	},

	// Annotations
	"annotation.alerts":   {"en": {title: "Alerts"}, "zh": {title: "告警"}},
	"annotation.restarts": {"en": {title: "Exporter restarts"}, "zh": {title: "exporter 重启"}},
	"annotation.agents":   {"en": {title: "New agent versions"}, "zh": {title: "新的 Agent 版本"}},

	// Words: links, columns, legends, values
	"dashboards":               {"en": {title: "Workspace dashboards"}, "zh": {title: "Workspace 仪表盘"}},
	"none":                     {"en": {title: "(none)"}, "zh": {title: "（无）"}},
	"yes":                      {"en": {title: "yes"}, "zh": {title: "是"}},
	"no":                       {"en": {title: "no"}, "zh": {title: "否"}},
	"new":                      {"en": {title: "New"}, "zh": {title: "新出现"}},
	"attempts":                 {"en": {title: "Attempts"}, "zh": {title: "登录次数"}},
	"failures":                 {"en": {title: "Failures"}, "zh": {title: "失败次数"}},
	"connect_type":             {"en": {title: "Connect type"}, "zh": {title: "连接类型"}},
	"unused_1h":                {"en": {title: "Longer than 1 h"}, "zh": {title: "超过 1 小时"}},
	"unused_8h":                {"en": {title: "Longer than 8 h"}, "zh": {title: "超过 8 小时"}},
	"unused_24h":               {"en": {title: "Longer than 24 h"}, "zh": {title: "超过 24 小时"}},
	"server_group":             {"en": {title: "Server group"}, "zh": {title: "服务器组"}},
	"undated":                  {"en": {title: "Without time"}, "zh": {title: "无时间"}},
	"attempts_before":          {"en": {title: "Attempts a week before"}, "zh": {title: "一周前登录次数"}},
	"failures_before":          {"en": {title: "Failures a week before"}, "zh": {title: "一周前失败次数"}},
	"ratio":                    {"en": {title: "Failure ratio"}, "zh": {title: "失败率"}},
	"success":                  {"en": {title: "Success ratio"}, "zh": {title: "成功率"}},
	"share":                    {"en": {title: "Share"}, "zh": {title: "占比"}},
	"share_of_group":           {"en": {title: "Share of its group's failures"}, "zh": {title: "占本组失败比例"}},
	"users":                    {"en": {title: "Users"}, "zh": {title: "用户数"}},
	"failed_users":             {"en": {title: "Users with failures"}, "zh": {title: "失败用户数"}},
	"worst_user":               {"en": {title: "One user"}, "zh": {title: "单个用户"}},
	"worst_address":            {"en": {title: "One address"}, "zh": {title: "单个地址"}},
	"desktop_group":            {"en": {title: "Desktop group"}, "zh": {title: "桌面组"}},
	"product":                  {"en": {title: "Product"}, "zh": {title: "产品"}},
	"machine_name":             {"en": {title: "Server"}, "zh": {title: "服务器"}},
	"failed_code":              {"en": {title: "Failure code"}, "zh": {title: "失败码"}},
	"reason":                   {"en": {title: "Reason"}, "zh": {title: "原因"}},
	"client_type":              {"en": {title: "Client system"}, "zh": {title: "客户端系统"}},
	"client_version":           {"en": {title: "Client version"}, "zh": {title: "客户端版本"}},
	"agent_version":            {"en": {title: "Agent version"}, "zh": {title: "Agent 版本"}},
	"first_seen":               {"en": {title: "First seen within the time shown"}, "zh": {title: "所选时间内首次出现"}},
	"logins":                   {"en": {title: "Logins"}, "zh": {title: "成功登录"}},
	"p50":                      {"en": {title: "Median"}, "zh": {title: "中位数"}},
	"p90":                      {"en": {title: "90th percentile"}, "zh": {title: "90 分位"}},
	"p99":                      {"en": {title: "99th percentile"}, "zh": {title: "99 分位"}},
	"network":                  {"en": {title: "network"}, "zh": {title: "网络"}},
	"end_to_end":               {"en": {title: "end to end"}, "zh": {title: "端到端"}},
	"within_30s":               {"en": {title: "Within 30 s"}, "zh": {title: "30 秒以内"}},
	"within_60s":               {"en": {title: "Ended within a minute"}, "zh": {title: "一分钟内结束"}},
	"sessions":                 {"en": {title: "Sessions"}, "zh": {title: "会话"}},
	"active":                   {"en": {title: "Active sessions"}, "zh": {title: "活跃会话"}},
	"disconnected":             {"en": {title: "Disconnected sessions"}, "zh": {title: "断开会话"}},
	"open":                     {"en": {title: "Open connections"}, "zh": {title: "未结束连接"}},
	"instance":                 {"en": {title: "Instance"}, "zh": {title: "实例"}},
	"version":                  {"en": {title: "Version"}, "zh": {title: "版本"}},
	"revision":                 {"en": {title: "Revision"}, "zh": {title: "修订"}},
	"goversion":                {"en": {title: "Go version"}, "zh": {title: "Go 版本"}},
	"uptime":                   {"en": {title: "Running for"}, "zh": {title: "已运行"}},
	"doubtful":                 {"en": {title: "Windows that may lack records"}, "zh": {title: "可能不全的窗口"}},
	"mismatches":               {"en": {title: "Windows whose count disagreed"}, "zh": {title: "数量不符的窗口"}},
	"invalid_fields":           {"en": {title: "Unreadable fields"}, "zh": {title: "无法读取的字段"}},
	"reconciliation":           {"en": {title: "Difference of pages and export"}, "zh": {title: "分页与导出的差异"}},
	"unknown":                  {"en": {title: "not known"}, "zh": {title: "未知"}},
	"few_launches":             {"en": {title: "few launches"}, "zh": {title: "启动过少"}},
	"launches":                 {"en": {title: "Launches"}, "zh": {title: "启动次数"}},
	"app_group":                {"en": {title: "Application group"}, "zh": {title: "应用组"}},
	"app_name":                 {"en": {title: "Application"}, "zh": {title: "应用"}},
	"apps_open":                {"en": {title: "Open now"}, "zh": {title: "正在使用"}},
	"link.applications":        {"en": {title: "Look at the applications"}, "zh": {title: "查看应用"}},
	"few":                      {"en": {title: "few logins"}, "zh": {title: "登录过少"}},
	"never":                    {"en": {title: "never"}, "zh": {title: "从未"}},
	"ok":                       {"en": {title: "none"}, "zh": {title: "无"}},
	"no_alert":                 {"en": {title: "no alert fires"}, "zh": {title: "没有触发的告警"}},
	"unreached":                {"en": {title: "exporter not reached"}, "zh": {title: "无法访问 exporter"}},
	"polls_succeed":            {"en": {title: "polls succeed"}, "zh": {title: "轮询成功"}},
	"failed":                   {"en": {title: "failed"}, "zh": {title: "失败"}},
	"critical":                 {"en": {title: "critical"}, "zh": {title: "严重"}},
	"warning":                  {"en": {title: "warning"}, "zh": {title: "警告"}},
	"info":                     {"en": {title: "info"}, "zh": {title: "提示"}},
	"severity":                 {"en": {title: "Severity"}, "zh": {title: "级别"}},
	"alertname":                {"en": {title: "Alert"}, "zh": {title: "告警"}},
	"about":                    {"en": {title: "About"}, "zh": {title: "对象"}},
	"project":                  {"en": {title: "Project"}, "zh": {title: "项目"}},
	"source":                   {"en": {title: "Source"}, "zh": {title: "采集源"}},
	"source_up":                {"en": {title: "Last poll succeeded"}, "zh": {title: "最近轮询成功"}},
	"up":                       {"en": {title: "Reached"}, "zh": {title: "可访问"}},
	"last_success":             {"en": {title: "Data age"}, "zh": {title: "数据年龄"}},
	"catching_up":              {"en": {title: "Catching up"}, "zh": {title: "正在补读"}},
	"class":                    {"en": {title: "Class"}, "zh": {title: "类别"}},
	"meaning":                  {"en": {title: "Meaning"}, "zh": {title: "含义"}},
	"other_codes":              {"en": {title: "all other codes"}, "zh": {title: "其他失败码"}},
	"desktop":                  {"en": {title: "Desktop"}, "zh": {title: "桌面"}},
	"reason.unreachable":       {"en": {title: "API unreachable"}, "zh": {title: "API 无法访问"}},
	"reason.server_error":      {"en": {title: "API server error"}, "zh": {title: "API 服务端错误"}},
	"reason.throttled":         {"en": {title: "API throttles"}, "zh": {title: "API 限流"}},
	"reason.credentials":       {"en": {title: "credentials refused"}, "zh": {title: "凭证被拒绝"}},
	"reason.permission":        {"en": {title: "permission missing"}, "zh": {title: "缺少权限"}},
	"reason.refused":           {"en": {title: "request refused"}, "zh": {title: "请求被拒绝"}},
	"reason.export_task":       {"en": {title: "export task failed"}, "zh": {title: "导出任务失败"}},
	"reason.unreadable":        {"en": {title: "answer unreadable"}, "zh": {title: "应答无法解析"}},
	"reason.clock":             {"en": {title: "server clock wrong"}, "zh": {title: "服务端时钟异常"}},
	"reason.disk":              {"en": {title: "disk error"}, "zh": {title: "磁盘错误"}},
	"reason.storage":           {"en": {title: "database error"}, "zh": {title: "数据库错误"}},
	"link.alert":               {"en": {title: "Look at what it is about"}, "zh": {title: "查看相关页面"}},
	"page":                     {"en": {title: "Page"}, "zh": {title: "页面"}},
	"stage":                    {"en": {title: "Stage"}, "zh": {title: "阶段"}},
	"stage.LOGIN":              {"en": {title: "login"}, "zh": {title: "登录"}},
	"stage.MAIN_AUTH":          {"en": {title: "main authentication (password)"}, "zh": {title: "主认证（密码）"}},
	"stage.MFA_AUTH":           {"en": {title: "second factor"}, "zh": {title: "多因素认证"}},
	"stage.CLICK_ICON":         {"en": {title: "click on the icon"}, "zh": {title: "点击图标"}},
	"stage.PRECONNECT":         {"en": {title: "preconnect (gateway)"}, "zh": {title: "预连接（网关）"}},
	"stage.CONNECT":            {"en": {title: "connect (desktop or server)"}, "zh": {title: "正式连接（桌面或服务器）"}},
	"no_stages":                {"en": {title: "not known: see the option stages"}, "zh": {title: "未知：请参阅 stages 选项"}},
	"state.Active":             {"en": {title: "active"}, "zh": {title: "活跃"}},
	"state.Disconnected":       {"en": {title: "disconnected"}, "zh": {title: "已断开"}},
	"state.AppcInit":           {"en": {title: "being made"}, "zh": {title: "初始化中"}},
	"state.InitFail":           {"en": {title: "could not be initialised"}, "zh": {title: "初始化失败"}},
	"disposition.counted":      {"en": {title: "counted"}, "zh": {title: "已计数"}},
	"disposition.duplicate":    {"en": {title: "read before, unchanged"}, "zh": {title: "重复"}},
	"disposition.updated":      {"en": {title: "read before, changed"}, "zh": {title: "有更新"}},
	"disposition.pending":      {"en": {title: "not yet settled"}, "zh": {title: "待定"}},
	"disposition.expired":      {"en": {title: "no outcome in time"}, "zh": {title: "超时未定"}},
	"disposition.reclassified": {"en": {title: "success, now a failure"}, "zh": {title: "成功改为失败"}},
	"disposition.invalid":      {"en": {title: "unreadable"}, "zh": {title: "无法读取"}},
	"disposition.forgotten":    {"en": {title: "not counted: older than its window"}, "zh": {title: "早于所查窗口，未计数"}},
	"disposition.given_up":     {"en": {title: "given up: too many unfinished"}, "zh": {title: "未完成过多，已放弃"}},
	"link.records":             {"en": {title: "Look at the single failures"}, "zh": {title: "查看单条失败记录"}},
	"link.login-failures":      {"en": {title: "Look into the failures"}, "zh": {title: "查看登录失败"}},
	"link.exporter":            {"en": {title: "Look at the exporter"}, "zh": {title: "查看 exporter"}},
	"link.login-time":          {"en": {title: "Look at login times"}, "zh": {title: "查看登录耗时"}},
	"link.servers":             {"en": {title: "Look at the servers"}, "zh": {title: "查看服务器"}},
	"fill":                     {"en": {title: "Full"}, "zh": {title: "占用率"}},
	"room":                     {"en": {title: "Most sessions"}, "zh": {title: "会话上限"}},
	"registered":               {"en": {title: "Registered"}, "zh": {title: "已注册"}},
	"unregistered":             {"en": {title: "Not registered"}, "zh": {title: "未注册"}},
	"no_server":                {"en": {title: "not known, or no such server"}, "zh": {title: "未知，或没有此类服务器"}},
	"connect.application":      {"en": {title: "application"}, "zh": {title: "应用"}},
	"connect.shared_desktop":   {"en": {title: "shared desktop"}, "zh": {title: "共享桌面"}},
	"status.REGISTERED":        {"en": {title: "registered"}, "zh": {title: "已注册"}},
	"status.UNREGISTER":        {"en": {title: "not registered"}, "zh": {title: "未注册"}},
	"status.MAINTAINING":       {"en": {title: "in maintenance"}, "zh": {title: "维护中"}},
	"status.FREEZE":            {"en": {title: "frozen"}, "zh": {title: "已冻结"}},
	"status.STOPPED":           {"en": {title: "stopped"}, "zh": {title: "已停止"}},
	"status.NONE":              {"en": {title: "no status"}, "zh": {title: "无状态"}},
	"desktop_pool":             {"en": {title: "Desktop pool"}, "zh": {title: "桌面池"}},
	"dedicated":                {"en": {title: "(no pool)"}, "zh": {title: "（非桌面池）"}},
	"all":                      {"en": {title: "Desktops"}, "zh": {title: "桌面数"}},
	"in_use":                   {"en": {title: "In use"}, "zh": {title: "使用中"}},
	"disconnected_desktops":    {"en": {title: "Disconnected"}, "zh": {title: "已断开"}},
	"ready":                    {"en": {title: "Ready"}, "zh": {title: "就绪"}},
	"unable":                   {"en": {title: "Cannot be connected"}, "zh": {title: "无法连接"}},
	"unattached":               {"en": {title: "Not assigned"}, "zh": {title: "未分配"}},
	"running":                  {"en": {title: "Running"}, "zh": {title: "运行中"}},
	"link.versions":            {"en": {title: "Look at the versions"}, "zh": {title: "查看版本"}},
	"no_failures":              {"en": {title: "not known, or no failures"}, "zh": {title: "未知，或没有失败"}},
	"all_metrics":              {"en": {title: "all metrics"}, "zh": {title: "全部指标"}},
	"last_hour":                {"en": {title: "In the last hour"}, "zh": {title: "最近一小时"}},
	"silent":                   {"en": {title: "silent"}, "zh": {title: "无登录"}},
	"lost":                     {"en": {title: "Time lost"}, "zh": {title: "丢失时长"}},
	"reload":                   {"en": {title: "Configuration valid"}, "zh": {title: "配置有效"}},
	"short_ratio":              {"en": {title: "Ratio"}, "zh": {title: "失败率"}},
	"rows_skipped":             {"en": {title: "Rows of files left out"}, "zh": {title: "文件中跳过的行"}},
	"reread_failures":          {"en": {title: "Windows given up for a round"}, "zh": {title: "本轮放弃的窗口"}},
	"unlogged":                 {"en": {title: "Failed logins not logged"}, "zh": {title: "未写入的失败登录"}},
	"log_lost":                 {"en": {title: "Lines of the log lost"}, "zh": {title: "丢失的日志行"}},

	// Overview
	"overview.success": {
		"en": {"Can people log in? $window", "Share of the login attempts within the window that succeeded. Yellow below the objective of 98 %, orange and red where the alerts begin. Grey with fewer than 10 attempts, or if the data is old."},
		"zh": {"能登录吗？$window", "窗口内登录成功的比例。低于目标 98% 为黄色，达到告警阈值为橙色和红色。少于 10 次登录或数据过旧时为灰色。"},
	},
	"overview.attempts": {
		"en": {"Attempts, $window", "Login attempts within the window, whatever became of them. Far fewer than usual at this hour may be an outage before the login."},
		"zh": {"登录次数，$window", "窗口内的登录尝试，不论结果。若远低于平时同一时段，可能在登录之前就已故障。"},
	},
	"overview.failures": {
		"en": {"Failures, $window", "Login attempts within the window that failed."},
		"zh": {"失败次数，$window", "窗口内失败的登录尝试。"},
	},
	"overview.people": {
		"en": {"Users with failures, $window", "Distinct users with a failed attempt within the window. One user with a saved wrong password makes many failures and is one user here. Not filtered by desktop group."},
		"zh": {"失败用户数，$window", "窗口内登录失败过的不同用户数。保存了错误密码的用户会产生大量失败，但此处只计一人。不按桌面组筛选。"},
	},
	"overview.slow": {
		"en": {"Login p90, $window", "Nine of ten logins within the window were faster, of 10 or more. From the request for a connection to its start: the time in which a user types credentials is in it."},
		"zh": {"登录 p90，$window", "窗口内九成登录快于此值（至少 10 次）。从请求连接到连接开始，包含用户输入凭证的时间。"},
	},
	"overview.open": {
		"en": {"Open connections", "Connections that have started and not ended."},
		"zh": {"未结束连接", "已开始且未结束的连接。"},
	},
	"overview.age": {
		"en": {"Is the data alive?", "How old the logins are that the other panels show, and why: what the last poll failed for, or that Prometheus does not reach the exporter. Above 15 minutes, what is of now is not known. Of several projects, the worst. Click to look at the exporter."},
		"zh": {"数据是否正常？", "其他面板所示登录数据的新旧程度及原因：最近一次轮询失败的原因，或 Prometheus 无法访问 exporter。超过 15 分钟时，当前状况未知。多个项目时取最差者。点击查看 exporter。"},
	},
	"overview.alerts": {
		"en": {"Alerts firing", "The alerts of the exporter's rules that fire now, the most urgent first. None also if the rules are not loaded. The graphs mark where one begins."},
		"zh": {"触发中的告警", "本 exporter 规则中正在触发的告警，最紧急的在前。未加载规则时也显示没有。图中标出告警开始的时刻。"},
	},
	"overview.trend": {"en": {title: "Trend"}, "zh": {title: "趋势"}},
	"overview.logins": {
		"en": {"Attempts and failures", "Login attempts in each interval, and those that failed. The dashed lines are the week before, if Prometheus has kept it."},
		"zh": {"登录与失败次数", "每个时间段内的登录尝试及其中的失败。虚线为一周前的数据（若 Prometheus 仍保留）。"},
	},
	"overview.ratio": {
		"en": {"Failure ratio", "Share of the attempts of each interval that failed, from 10 attempts on. The lines are at 20 % and 50 %, the limits of the alerts."},
		"zh": {"失败率", "每个时间段内失败的比例（登录达到 10 次）。横线为告警阈值 20% 与 50%。"},
	},
	"overview.users": {
		"en": {"Users", "Distinct users with an attempt and with a failed one within the chosen window, at each moment. Not filtered by desktop group."},
		"zh": {"用户数", "各时刻所选窗口内有登录及有失败的不同用户数。不按桌面组筛选。"},
	},
	"overview.durations": {
		"en": {"Login time", "Percentiles of the login time of successful logins, from the request for a connection to its start."},
		"zh": {"登录耗时", "成功登录耗时的分位数，从请求连接到连接开始。"},
	},
	"overview.groups_table": {
		"en": {"Where? Desktop groups, $window", "The ten desktop groups with the most failures within the window. Desktops have no group. A ratio is shown from 10 attempts on."},
		"zh": {"在哪里？桌面组，$window", "窗口内失败最多的十个桌面组。云桌面没有组。登录达到 10 次才显示失败率。"},
	},
	"overview.sessions": {"en": {title: "Sessions"}, "zh": {title: "会话"}},
	"overview.states": {
		"en": {"Sessions by state", "Sessions on the servers of application streaming, by state. Needs the source sessions. Not filtered by desktop group."},
		"zh": {"各状态会话数", "云应用服务器上各状态的会话。需要启用 sessions 采集源。不按桌面组筛选。"},
	},
	"overview.connections": {
		"en": {"Open connections by desktop group", "Connections that have started and not ended, as the login records tell."},
		"zh": {"各桌面组未结束连接", "根据登录记录，已开始且未结束的连接。"},
	},
	"overview.objective": {"en": {title: "Objective: 98 % of logins succeed, over 28 days"}, "zh": {title: "目标：28 天内 98% 的登录成功"}},
	"overview.budget": {
		"en": {"Error budget left", "What is left of the failures that the objective allows in 28 days. Below 0 it was missed. With less history, of what there is."},
		"zh": {"剩余错误预算", "28 天目标所允许的失败中还剩多少。小于 0 表示未达标。历史不足 28 天时按现有数据计算。"},
	},
	"overview.month": {
		"en": {"Success ratio, 28 days", "Share of the login attempts of the last 28 days that succeeded."},
		"zh": {"成功率（28 天）", "最近 28 天登录成功的比例。"},
	},
	"overview.days": {
		"en": {"Success ratio, day by day", "Share of the attempts that succeeded, at each moment over the day before it. The line is at 98 %."},
		"zh": {"每日成功率", "各时刻之前一天内登录成功的比例。横线为 98%。"},
	},
	"overview.codes_table": {
		"en": {"Why? Failure codes, $window", "Failure codes within the window with their class and what they mean: the explanation of the configuration, or else the latest reason. New: not seen in the seven days before, if Prometheus was there then. Click on a code to look into it."},
		"zh": {"为什么？失败码，$window", "窗口内的失败码及其类别和含义：配置中的解释，否则为最近一次的原因。“新出现”：此前七天未出现（以 Prometheus 已有数据为准）。点击失败码查看详情。"},
	},
	"overview.servers_table": {
		"en": {"Where? Servers, $window", "The ten servers with the most failures within the window, without logins that reached no server. A ratio is shown from 10 attempts on."},
		"zh": {"在哪里？服务器，$window", "窗口内失败最多的十台服务器，不含未到达服务器的登录。登录达到 10 次才显示失败率。"},
	},
	"overview.clients_table": {
		"en": {"Which client? $window", "The ten client versions with the most failures within the window. Not filtered by desktop group. A ratio is shown from 10 attempts on."},
		"zh": {"哪些客户端？$window", "窗口内失败最多的十个客户端版本。不按桌面组筛选。登录达到 10 次才显示失败率。"},
	},
	"overview.agents_table": {
		"en": {"Which agent? $window", "The ten versions of the agent on the servers with the most failures within the window. Not filtered by desktop group. A ratio is shown from 10 attempts on."},
		"zh": {"哪些 Agent？$window", "窗口内失败最多的十个服务器 Agent 版本。不按桌面组筛选。登录达到 10 次才显示失败率。"},
	},

	// Applications
	"applications.now": {"en": {title: "Now"}, "zh": {title: "当前"}},
	"applications.age": {
		"en": {"Is the data alive?", "How old the launches are that the other panels show, and why: what the last poll failed for, or that Prometheus does not reach the exporter. Above 15 minutes, what is of now is not known. Of several projects, the worst. Click to look at the exporter."},
		"zh": {"数据是否正常？", "其他面板所示应用使用记录的新旧程度及原因：最近一次轮询失败的原因，或 Prometheus 无法访问 exporter。超过 15 分钟时，当前状况未知。多个项目时取最差者。点击查看 exporter。"},
	},
	"applications.launches": {
		"en": {"Launches", "How often the chosen applications were launched, or failed to, in the time shown."},
		"zh": {"启动次数", "所选时间内所选应用被启动（或尝试启动）的次数。"},
	},
	"applications.failures": {
		"en": {"Failures", "Launches that failed, with the chosen codes."},
		"zh": {"失败次数", "具有所选失败码的启动失败。"},
	},
	"applications.ratio": {
		"en": {"Failure ratio", "Failures with the chosen codes as a share of all launches. Grey with fewer than 10 launches."},
		"zh": {"失败率", "具有所选失败码的失败占全部启动次数的比例。少于 10 次时为灰色。"},
	},
	"applications.failing": {
		"en": {"Applications failing", "Applications of which a fifth of the launches failed or more, of those with 5 launches or more."},
		"zh": {"故障应用数", "启动达到 5 次的应用中，失败率达到 20% 的应用数。"},
	},
	"applications.people": {
		"en": {"Users failing, $window", "Distinct users with a failed launch within the chosen window. Who failed with two applications counts twice. Not filtered by code."},
		"zh": {"失败用户数，$window", "所选窗口内启动失败过的不同用户数。两个应用都失败的用户计两次。不按失败码筛选。"},
	},
	"applications.open": {
		"en": {"Open now", "Applications that were opened and not closed."},
		"zh": {"正在使用", "已启动且未关闭的应用数。"},
	},
	"applications.which": {"en": {title: "Which application?"}, "zh": {title: "哪个应用？"}},
	"applications.apps_table": {
		"en": {"Applications", "The 300 applications with the most launches in the time shown. A ratio is shown from 5 launches on. Users are of the chosen window. One that fails alone is broken itself; when a whole group fails, look at its servers. Click on a name to filter by it."},
		"zh": {"应用", "所选时间内启动次数最多的 300 个应用。启动达到 5 次才显示失败率。用户数按所选窗口统计。只有一个应用失败：应用自身故障；整组失败：检查其服务器。点击名称进行筛选。"},
	},
	"applications.failures_grid": {
		"en": {"Failures by application and time", "The 15 applications with the most failures: each cell is an interval."},
		"zh": {"应用失败时间分布", "失败最多的 15 个应用，每格为一个时间段。"},
	},
	"applications.launches_by_group": {
		"en": {"Launches by group", "Launches of each interval, of the ten groups with the most."},
		"zh": {"各组启动次数", "启动次数最多的十个应用组在每个时间段内的启动次数。"},
	},
	"applications.failures_by_group": {
		"en": {"Failures by group", "Failed launches of each interval with the chosen codes, of the ten groups with the most."},
		"zh": {"各组失败次数", "失败最多的十个应用组在每个时间段内具有所选失败码的失败次数。"},
	},
	"applications.why": {"en": {title: "Why?"}, "zh": {title: "为什么？"}},
	"applications.codes_table": {
		"en": {"Codes and what they mean", "Failure codes of launches in the time shown with their class and what they mean: the explanation of the configuration, or else the latest reason. New: not seen in the seven days before, if Prometheus was there then. Click on a code to filter by it."},
		"zh": {"失败码及含义", "所选时间内启动失败的失败码及其类别和含义：配置中的解释，否则为最近一次的原因。“新出现”：此前七天未出现（以 Prometheus 已有数据为准）。点击失败码进行筛选。"},
	},
	"applications.codes": {
		"en": {"Failures by code", "Failed launches of each interval by failure code: the seven with the most in the time shown, and the others."},
		"zh": {"各失败码的失败次数", "每个时间段内各失败码的启动失败次数：所选时间内最多的七个，以及其余。"},
	},
	"applications.use": {"en": {title: "Use"}, "zh": {title: "使用情况"}},
	"applications.trend": {
		"en": {"Launches and failures", "Launches of each interval, and those that failed with the chosen codes."},
		"zh": {"启动与失败次数", "每个时间段内的启动次数和具有所选失败码的失败次数。"},
	},
	"applications.ratio_trend": {
		"en": {"Failure ratio", "Share of the launches of each interval that failed with the chosen codes, from 10 launches on. The lines are at 20 % and 50 %, the limits of the alert."},
		"zh": {"失败率", "每个时间段内以所选失败码失败的比例（启动达到 10 次）。横线为告警阈值 20% 与 50%。"},
	},
	"applications.users_by_app": {
		"en": {"Users by application", "Distinct users who opened an application within the chosen window, or tried to, of the ten applications with the most at each moment."},
		"zh": {"各应用用户数", "各时刻所选窗口内启动（或尝试启动）应用的不同用户数：最多的十个应用。"},
	},
	"applications.open_by_app": {
		"en": {"Open by application", "How many of each application are open, of the ten with the most at each moment."},
		"zh": {"各应用正在使用数", "各时刻正在使用的应用数：最多的十个应用。"},
	},
	"applications.durations": {
		"en": {"How long applications are open", "Median of the time from opening an application to its end, of those that ended. Not filtered by application."},
		"zh": {"应用使用时长", "已结束的使用中，从启动应用到结束的时间的中位数。不按应用筛选。"},
	},

	// Login failures
	"login-failures.size": {"en": {title: "Is it real, and how big?"}, "zh": {title: "是否属实？规模多大？"}},
	"login-failures.age": {
		"en": {"Is the data alive?", "How old the logins are that the other panels show, and why: what the last poll failed for, or that Prometheus does not reach the exporter. Above 15 minutes, what is of now is not known. Of several projects, the worst. Click to look at the exporter."},
		"zh": {"数据是否正常？", "其他面板所示登录数据的新旧程度及原因：最近一次轮询失败的原因，或 Prometheus 无法访问 exporter。超过 15 分钟时，当前状况未知。多个项目时取最差者。点击查看 exporter。"},
	},
	"login-failures.catching_up": {
		"en": {"Catching up", "Whether the exporter reads what it missed. Then counts rise for logins that are long past; ratios hold."},
		"zh": {"正在补读", "exporter 是否正在补读错过的记录。此时计数上升来自较早的登录，比率仍然可信。"},
	},
	"login-failures.attempts": {
		"en": {"Attempts", "Login attempts of the time shown, of the chosen groups."},
		"zh": {"登录次数", "所选时间和桌面组的登录尝试。"},
	},
	"login-failures.failures": {
		"en": {"Failures", "Attempts that failed, with the chosen codes."},
		"zh": {"失败次数", "具有所选失败码的失败登录。"},
	},
	"login-failures.ratio": {
		"en": {"Failure ratio", "Failures with the chosen codes as a share of all attempts. Grey with fewer than 10 attempts."},
		"zh": {"失败率", "具有所选失败码的失败占全部登录的比例。少于 10 次登录时为灰色。"},
	},
	"login-failures.people": {
		"en": {"Users failing, $window", "Distinct users of the chosen groups with a failure within the chosen window. Who failed in two groups counts twice. Not filtered by code."},
		"zh": {"失败用户数，$window", "所选桌面组在所选窗口内失败过的不同用户数。在两个组都失败的用户计两次。不按失败码筛选。"},
	},
	"login-failures.per_person": {
		"en": {"Failures per user", "Failures for each user who failed, within the chosen window. High: few who try again and again. Low: many are concerned. Not filtered by code."},
		"zh": {"人均失败次数", "所选窗口内每个失败用户的失败次数。高：少数人反复重试；低：影响面广。不按失败码筛选。"},
	},
	"login-failures.worst_user": {
		"en": {"Worst user, $window", "Failures of the single user who has most of them, within the chosen window. Who it is, no metric tells. Not filtered by group and code."},
		"zh": {"单用户最多，$window", "所选窗口内失败最多的单个用户的失败次数。指标不透露用户身份。不按组和失败码筛选。"},
	},
	"login-failures.logins": {
		"en": {"Attempts and failures", "Attempts of each interval and failures with the chosen codes. The dashed lines are the week before, if Prometheus has kept it."},
		"zh": {"登录与失败次数", "每个时间段的登录尝试和具有所选失败码的失败。虚线为一周前的数据（若仍保留）。"},
	},
	"login-failures.ratio_trend": {
		"en": {"Failure ratio", "Share of the attempts of each interval that failed with the chosen codes, from 10 attempts on. The lines are at 20 % and 50 %, the limits of the alerts."},
		"zh": {"失败率", "每个时间段内以所选失败码失败的比例（登录达到 10 次）。横线为告警阈值 20% 与 50%。"},
	},
	"login-failures.width": {"en": {title: "How wide? The share of what was used where 5 % of the logins fail, or more"}, "zh": {title: "范围多大？所用对象中失败率达到 5% 的比例"}},
	"login-failures.groups_touched": {
		"en": {"Desktop groups touched", "Share of the desktop groups where 5 % of the logins or more failed with the chosen codes, of those with 5 logins or more. All: a common cause. One: look there."},
		"zh": {"受影响桌面组", "登录达到 5 次的桌面组中，以所选失败码失败的登录达到 5% 的比例。全部：共同原因；个别：重点排查。"},
	},
	"login-failures.servers_touched": {
		"en": {"Servers touched", "Share of the servers of application streaming where 5 % of the logins or more failed with the chosen codes, of those with 5 logins or more."},
		"zh": {"受影响服务器", "登录达到 5 次的云应用服务器中，以所选失败码失败的登录达到 5% 的比例。"},
	},
	"login-failures.versions_touched": {
		"en": {"Client versions touched", "Share of the client versions where 5 % of the logins or more failed with the chosen codes, of those with 5 logins or more. Not filtered by group and server."},
		"zh": {"受影响客户端版本", "登录达到 5 次的客户端版本中，以所选失败码失败的登录达到 5% 的比例。不按组和服务器筛选。"},
	},
	"login-failures.top_code": {
		"en": {"Share of the most frequent code", "Near 100 %: one cause. Small: several, or the usual noise."},
		"zh": {"最多失败码占比", "接近 100%：单一原因；较小：多种原因或日常波动。"},
	},
	"login-failures.why": {"en": {title: "Why?"}, "zh": {title: "为什么？"}},
	"login-failures.codes": {
		"en": {"Failures by code", "Failures of each interval by failure code: the seven with the most in the time shown, and the others."},
		"zh": {"各失败码的失败次数", "每个时间段内各失败码的失败次数：所选时间内最多的七个，以及其余。"},
	},
	"login-failures.stages": {
		"en": {"Failures by stage", "The first stage that failed: of logins to desktops and of launches of applications that were asked about. Needs the option stages; what its budget leaves out is missing here."},
		"zh": {"各阶段失败次数", "首个失败的阶段：仅含已查询的云桌面登录和应用启动。需要开启 stages 选项；超出其预算的不在此列。"},
	},
	"login-failures.codes_table": {
		"en": {"Codes and what they mean", "Failure codes of the time shown with their class and what they mean: the explanation of the configuration, or else the latest reason. New: not seen in the seven days before, if Prometheus was there then. Click on a code to filter by it."},
		"zh": {"失败码及含义", "所选时间内的失败码及其类别和含义：配置中的解释，否则为最近一次的原因。“新出现”：此前七天未出现（以 Prometheus 已有数据为准）。点击失败码进行筛选。"},
	},
	"login-failures.unreached_codes": {
		"en": {"Codes of logins that reached no server", "Failure codes of the logins to application streaming that failed before a server was chosen. No server is to blame: look at capacity, assignments and the client. Click on a code to filter by it."},
		"zh": {"未到达服务器的失败码", "在分配服务器之前就失败的云应用登录的失败码。与服务器无关：请检查容量、分配和客户端。点击失败码进行筛选。"},
	},
	"login-failures.where": {"en": {title: "Where?"}, "zh": {title: "在哪里？"}},
	"login-failures.groups_table": {
		"en": {"Desktop groups", "Logins of the time shown by desktop group, with all codes. Click on a group to filter by it."},
		"zh": {"桌面组", "所选时间内各桌面组的登录，含全部失败码。点击桌面组进行筛选。"},
	},
	"login-failures.servers_table": {
		"en": {"Servers with the most failures", "The 50 servers with the most failures. A ratio is shown from 5 attempts on. One server with most failures of its group is likely broken: put it into maintenance. Sessions need the source sessions. Click on a server to look at it."},
		"zh": {"失败最多的服务器", "失败最多的 50 台服务器。登录达到 5 次才显示失败率。若某服务器占本组大部分失败，很可能已故障，请将其置为维护状态。会话数需要启用 sessions 采集源。点击服务器查看详情。"},
	},
	"login-failures.servers_grid": {
		"en": {"Failures by server and time", "The 15 servers with the most failures: each cell is an interval. Logins that reached no server are left out."},
		"zh": {"服务器失败时间分布", "失败最多的 15 台服务器，每格为一个时间段。不含未到达服务器的登录。"},
	},
	"login-failures.client": {"en": {title: "Which client? All groups and servers"}, "zh": {title: "哪些客户端？（全部组和服务器）"}},
	"login-failures.clients_table": {
		"en": {"Client versions", "Attempts and failures with the chosen codes by client version. A ratio is shown from 20 attempts on. Not filtered by group and server."},
		"zh": {"客户端版本", "各客户端版本的登录和具有所选失败码的失败。登录达到 20 次才显示失败率。不按组和服务器筛选。"},
	},
	"login-failures.agents_table": {
		"en": {"Agent versions", "The same by the version of the agent on the server. A new version that fails where the old one does not is a bad roll-out. Logins that reached no server are left out."},
		"zh": {"Agent 版本", "按服务器上 Agent 版本统计。若新版本失败而旧版本正常，则为升级问题。不含未到达服务器的登录。"},
	},
	"login-failures.codes_by_version": {
		"en": {"Codes by client version", "Share of a client version's attempts that failed with a code, in the time shown: the 15 most frequent codes, and versions with 20 attempts or more. A column that stands out is a bad version. Not filtered by group."},
		"zh": {"失败码与客户端版本", "所选时间内各客户端版本的登录以各失败码失败的比例：最多的 15 个失败码，登录达到 20 次的版本。突出的列即有问题的版本。不按组筛选。"},
	},
	"login-failures.who": {"en": {title: "Who? Numbers of people, never names"}, "zh": {title: "哪些人？仅统计人数，不含姓名"}},
	"login-failures.users": {
		"en": {"Users", "Distinct users of the chosen groups with an attempt and with a failure within the chosen window, at each moment."},
		"zh": {"用户数", "各时刻所选窗口内，所选桌面组有登录和有失败的不同用户数。"},
	},
	"login-failures.worst": {
		"en": {"Most failures of one user and one address", "A user with many failures has a wrong password saved, or is attacked. An address with many is an attacker, or a gateway. Not filtered by group, server and code."},
		"zh": {"单个用户与单个地址的最多失败", "单个用户失败很多：保存了错误密码或遭受攻击；单个地址失败很多：攻击者或网关出口。不按组、服务器和失败码筛选。"},
	},
	"login-failures.vendor": {"en": {title: "The vendor's own statistics"}, "zh": {title: "厂商自己的统计"}},
	"login-failures.accesses": {
		"en": {"Failed accesses by error code", "As the vendor counts them: failures of a user within minutes are one, so this is never the number of failures above. Needs the source access_statistics."},
		"zh": {"各失败码访问失败次数", "厂商的统计口径：同一用户几分钟内的失败合并计一次，因此与上方失败次数不相等。需要启用 access_statistics 采集源。"},
	},
	"login-failures.access_users": {
		"en": {"Users with a failed access", "Distinct users with a failed access within the last hour of the vendor's statistics."},
		"zh": {"访问失败用户数", "厂商统计中最近一小时访问失败的不同用户数。"},
	},
	"login-failures.unreached": {
		"en": {"Reached no server", "Failures of application streaming without a server: they failed before one was chosen, and no server is to blame."},
		"zh": {"未到达服务器", "未到达任何服务器的云应用登录失败：在分配服务器之前就已失败，与服务器无关。"},
	},

	// Login time and sessions
	"login-time.now": {"en": {title: "In the time shown"}, "zh": {title: "所选时间内"}},
	"login-time.p50": {
		"en": {"Login, median", "Half of the logins were faster. From the request for a connection to its start: the time in which a user types credentials is in it. Reconnects to desktops are left out."},
		"zh": {"登录中位数", "一半登录快于此值。从请求连接到连接开始，包含用户输入凭证的时间。不含云桌面重连。"},
	},
	"login-time.p90": {
		"en": {"Login, p90", "Nine of ten logins were faster, of 10 or more. People complain from 30 to 60 seconds on."},
		"zh": {"登录 p90", "九成登录快于此值（至少 10 次）。超过 30 至 60 秒用户通常会抱怨。"},
	},
	"login-time.p99": {
		"en": {"Login, p99", "99 of 100 logins were faster, of 10 or more."},
		"zh": {"登录 p99", "99% 的登录快于此值（至少 10 次）。"},
	},
	"login-time.quick": {
		"en": {"Within 30 s", "Share of the logins that took 30 seconds or less."},
		"zh": {"30 秒以内", "耗时不超过 30 秒的登录比例。"},
	},
	"login-time.short_sessions": {
		"en": {"Ended within a minute", "Share of the connections that ended within a minute of their start: a login that dies at once is a failure to the user."},
		"zh": {"一分钟内结束", "开始后一分钟内即结束的连接比例。登录后立即中断，对用户而言就是失败。"},
	},
	"login-time.measured": {
		"en": {"Logins measured", "Successful logins whose time is known: what the numbers beside are made of."},
		"zh": {"已测量登录", "有耗时数据的成功登录，即旁边各数值的样本量。"},
	},
	"login-time.waiting": {"en": {title: "How long people wait"}, "zh": {title: "等待多久"}},
	"login-time.density": {
		"en": {"Login time, all logins", "How many logins took how long, in each interval. Two bands are two kinds of logins."},
		"zh": {"登录耗时分布", "每个时间段内各耗时区间的登录次数。两条带表示两类登录。"},
	},
	"login-time.percentiles": {
		"en": {"Login time, percentiles", "Percentiles of the logins of each interval. The lines are at 30 and 60 seconds."},
		"zh": {"登录耗时分位数", "每个时间段内登录耗时的分位数。横线为 30 秒与 60 秒。"},
	},
	"login-time.by_group": {
		"en": {"Login time p90 by desktop group", "Nine of ten logins of the group were faster, in each interval."},
		"zh": {"各桌面组登录耗时 p90", "每个时间段内，该组九成登录快于此值。"},
	},
	"login-time.quick_trend": {
		"en": {"Within 30 s", "Share of the logins of each interval that took 30 seconds or less."},
		"zh": {"30 秒以内", "每个时间段内耗时不超过 30 秒的登录比例。"},
	},
	"login-time.groups_table": {
		"en": {"Desktop groups", "Login times of the time shown by desktop group. Desktops have no group."},
		"zh": {"桌面组", "所选时间内各桌面组的登录耗时。云桌面没有组。"},
	},
	"login-time.round_trip": {"en": {title: "Network of desktops. All groups"}, "zh": {title: "云桌面网络（全部组）"}},
	"login-time.round_trips": {
		"en": {"Round trip", "Round-trip time between client and desktop, once per connection: network alone, and end to end with the work at both ends. Needs the source desktop_connections."},
		"zh": {"往返时延", "客户端与桌面之间的往返时延，每个连接一次：仅网络，以及包含两端处理的端到端时延。需要启用 desktop_connections 采集源。"},
	},
	"login-time.round_trip_density": {
		"en": {"Round trip on the network, all connections", "How many connections had which round-trip time on the network, in each interval."},
		"zh": {"网络往返时延分布", "每个时间段内各网络往返时延区间的连接数。"},
	},
	"login-time.round_trip_by_system": {
		"en": {"Round trip p95 by client system", "19 of 20 connections of each interval had a shorter round trip on the network, by the operating system of the client. Shown from 10 connections on."},
		"zh": {"各客户端系统往返时延 p95", "每个时间段内，各客户端操作系统 95% 的连接的网络往返时延低于此值。连接达到 10 个才显示。"},
	},
	"login-time.reconnects": {
		"en": {"Reconnects to desktops", "Successful logins to desktops that take up an earlier connection, by client system. Many at once mean that connections broke: look at the network and the gateways."},
		"zh": {"云桌面重连", "恢复先前连接的云桌面成功登录，按客户端系统统计。短时间内大量出现说明连接中断：请检查网络和网关。"},
	},
	"login-time.staying": {"en": {title: "How long people stay"}, "zh": {title: "使用多久"}},
	"login-time.lengths": {
		"en": {"Length of connections", "How many connections that ended in each interval had lasted how long."},
		"zh": {"连接时长分布", "每个时间段内结束的连接的时长分布。"},
	},
	"login-time.length_by_group": {
		"en": {"Median length by desktop group", "Half of the connections that ended in each interval were shorter."},
		"zh": {"各桌面组连接时长中位数", "每个时间段内结束的连接中，一半短于此值。"},
	},
	"login-time.short_trend": {
		"en": {"Ended within a minute", "Share of the connections that ended in each interval and had lasted a minute or less."},
		"zh": {"一分钟内结束", "每个时间段内结束的连接中，时长不超过一分钟的比例。"},
	},
	"login-time.peaks": {
		"en": {"Most connections at once", "The most connections that were open at once within each of the user_windows before each moment, by the starts and ends of the records: what must have room. Ends that come late correct it. Not filtered by desktop group."},
		"zh": {"最大并发连接数", "各时刻之前每个 user_windows 窗口内同时打开的最多连接数，按记录的开始与结束时间计算，即所需容量。迟到的结束时间会修正该值。不按桌面组筛选。"},
	},
	"login-time.states": {
		"en": {"Sessions by state", "Sessions on the servers of application streaming, by state. Being made is the vendor's AppcInit, could not be initialised its InitFail. Needs the source sessions. Not filtered by desktop group."},
		"zh": {"各状态会话数", "云应用服务器上各状态的会话。初始化中即厂商的 AppcInit，初始化失败即 InitFail。需要启用 sessions 采集源。不按桌面组筛选。"},
	},
	"login-time.init_failures": {
		"en": {"Sessions that could not be initialised", "Sessions in the state InitFail by server group and failure code, each counted once: the seven with the most in the time shown. Not filtered by desktop group."},
		"zh": {"初始化失败的会话", "处于 InitFail 状态的会话，按服务器组和失败码统计，每个会话只计一次；为所选时间内最多的七个。不按桌面组筛选。"},
	},
	"login-time.age": {
		"en": {"Is the data alive?", "How old the logins are that the other panels show, and why: what the last poll failed for, or that Prometheus does not reach the exporter. Above 15 minutes, what is of now is not known. Of several projects, the worst. Click to look at the exporter."},
		"zh": {"数据是否正常？", "其他面板所示登录数据的新旧程度及原因：最近一次轮询失败的原因，或 Prometheus 无法访问 exporter。超过 15 分钟时，当前状况未知。多个项目时取最差者。点击查看 exporter。"},
	},

	// Versions
	"versions.agents": {"en": {title: "Agents on the servers"}, "zh": {title: "服务器上的 Agent"}},
	"versions.agent_version_share": {
		"en": {"Attempts by agent version", "Share of the login attempts by the version of the agent on the server: how far a roll-out is."},
		"zh": {"各 Agent 版本登录占比", "按服务器上 Agent 版本统计的登录占比，反映升级进度。"},
	},
	"versions.agent_version_ratio": {
		"en": {"Failure ratio by agent version", "Share of the attempts of each interval that failed, from 10 attempts on. If it rises with a new version alone, the roll-out broke it."},
		"zh": {"各 Agent 版本失败率", "每个时间段内失败的比例（登录达到 10 次）。若仅新版本升高，则为升级所致。"},
	},
	"versions.agent_version_table": {
		"en": {"Agent versions", "Logins of the time shown by agent version. Versions with a small share are laggards or new: see when they were first seen (–: before the time shown). A ratio is shown from 20 attempts on."},
		"zh": {"Agent 版本", "所选时间内各 Agent 版本的登录。占比小的版本为未升级或刚发布，可参考首次出现时间（–：早于所选时间）。登录达到 20 次才显示失败率。"},
	},
	"versions.clients": {"en": {title: "Clients"}, "zh": {title: "客户端"}},
	"versions.client_version_share": {
		"en": {"Attempts by client version", "Share of the login attempts by the version of the client."},
		"zh": {"各客户端版本登录占比", "按客户端版本统计的登录占比。"},
	},
	"versions.client_version_ratio": {
		"en": {"Failure ratio by client version", "Share of the attempts of each interval that failed, from 10 attempts on."},
		"zh": {"各客户端版本失败率", "每个时间段内失败的比例（登录达到 10 次）。"},
	},
	"versions.client_version_table": {
		"en": {"Client versions", "Logins of the time shown by client version. A ratio is shown from 20 attempts on."},
		"zh": {"客户端版本", "所选时间内各客户端版本的登录。登录达到 20 次才显示失败率。"},
	},
	"versions.systems": {"en": {title: "Client systems"}, "zh": {title: "客户端系统"}},
	"versions.client_type_share": {
		"en": {"Attempts by client system", "Share of the login attempts by the operating system of the client."},
		"zh": {"各客户端系统登录占比", "按客户端操作系统统计的登录占比。"},
	},
	"versions.client_type_ratio": {
		"en": {"Failure ratio by client system", "Share of the attempts of each interval that failed, from 10 attempts on."},
		"zh": {"各客户端系统失败率", "每个时间段内失败的比例（登录达到 10 次）。"},
	},
	"versions.client_type_table": {
		"en": {"Client systems", "Logins of the time shown by client system. A ratio is shown from 20 attempts on."},
		"zh": {"客户端系统", "所选时间内各客户端系统的登录。登录达到 20 次才显示失败率。"},
	},
	"versions.connect_types": {"en": {title: "Desktops and applications. All client systems"}, "zh": {title: "桌面与应用（全部客户端系统）"}},
	"versions.connect_type_share": {
		"en": {"Attempts by connect type", "Share of the login attempts of application streaming to shared desktops and to applications. Not filtered by client system."},
		"zh": {"各连接类型登录占比", "云应用中连接共享桌面与连接应用的登录占比。不按客户端系统筛选。"},
	},
	"versions.connect_type_ratio": {
		"en": {"Failure ratio by connect type", "Share of the attempts of each interval that failed, from 10 attempts on. If only applications fail, look at their publication and not at the servers. Not filtered by client system."},
		"zh": {"各连接类型失败率", "每个时间段内失败的比例（登录达到 10 次）。若仅应用失败，请先检查应用发布而非服务器。不按客户端系统筛选。"},
	},
	"versions.connect_type_table": {
		"en": {"Connect types", "Logins of the time shown to shared desktops and to applications. A ratio is shown from 20 attempts on. Not filtered by client system."},
		"zh": {"连接类型", "所选时间内连接共享桌面与连接应用的登录。登录达到 20 次才显示失败率。不按客户端系统筛选。"},
	},
	"versions.age": {
		"en": {"Is the data alive?", "How old the logins are that the other panels show, and why: what the last poll failed for, or that Prometheus does not reach the exporter. Above 15 minutes, what is of now is not known. Of several projects, the worst. Click to look at the exporter."},
		"zh": {"数据是否正常？", "其他面板所示登录数据的新旧程度及原因：最近一次轮询失败的原因，或 Prometheus 无法访问 exporter。超过 15 分钟时，当前状况未知。多个项目时取最差者。点击查看 exporter。"},
	},
	"versions.attempts": {
		"en": {"Attempts", "Login attempts of the time shown."},
		"zh": {"登录次数", "所选时间内的登录尝试。"},
	},
	"versions.failures": {
		"en": {"Failures", "Login attempts of the time shown that failed."},
		"zh": {"失败次数", "所选时间内失败的登录尝试。"},
	},
	"versions.agents_failing": {
		"en": {"Agent versions failing", "Agent versions of which more than 20 % of 20 attempts or more failed."},
		"zh": {"异常的 Agent 版本", "登录达到 20 次且失败超过 20% 的 Agent 版本数。"},
	},
	"versions.clients_failing": {
		"en": {"Client versions failing", "Client versions of which more than 20 % of 20 attempts or more failed."},
		"zh": {"异常的客户端版本", "登录达到 20 次且失败超过 20% 的客户端版本数。"},
	},
	"versions.unreached": {
		"en": {"Reached no server", "Failures of logins without an agent version: they reached no server, and are in no panel about agents."},
		"zh": {"未到达服务器", "没有 Agent 版本的登录失败：未到达服务器，不计入 Agent 相关面板。"},
	},

	// Capacity
	"capacity.servers": {"en": {title: "Application servers"}, "zh": {title: "云应用服务器"}},
	"capacity.age": {
		"en": {"Is the data alive?", "Age of the newest list of servers or desktops, and the reason if it does not come."},
		"zh": {"数据是否更新？", "最近一次服务器或桌面列表的时间，以及未更新的原因。"},
	},
	"capacity.all_servers": {
		"en": {"Servers", "Application servers, whatever their state."},
		"zh": {"服务器", "云应用服务器总数，不论状态。"},
	},
	"capacity.lost": {
		"en": {"Not registered", "Servers with the status UNREGISTER that are not in maintenance: they take no users."},
		"zh": {"未注册", "状态为 UNREGISTER 且不在维护中的服务器，无法接受用户。"},
	},
	"capacity.fullest": {
		"en": {"Fullest group", "Sessions of the fullest group as a share of what it has room for, without servers in maintenance."},
		"zh": {"最满的组", "最满服务器组的会话数占其上限的比例，不含维护中的服务器。"},
	},
	"capacity.room": {
		"en": {"Sessions left", "How many more sessions the registered servers have room for."},
		"zh": {"剩余会话", "已注册服务器还能容纳的会话数。"},
	},
	"capacity.behind": {
		"en": {"Agents behind", "Servers whose agent is not the latest version that the tenant can have."},
		"zh": {"旧版 Agent", "Agent 不是租户可用最新版本的服务器。"},
	},
	"capacity.groups": {
		"en": {"Groups", "How full each group is, and its servers. Click on a group to look at the logins to its servers."},
		"zh": {"服务器组", "各组的占用率及其服务器。点击组查看其服务器的登录。"},
	},
	"capacity.look_first": {
		"en": {"Servers to look at first", "Servers that are not registered while not in maintenance, and those that are 85 % full. Click on one to see its logins."},
		"zh": {"优先检查的服务器", "未处于维护状态却未注册的服务器，以及占用率达到 85% 的服务器。点击查看其登录。"},
	},
	"capacity.fill": {
		"en": {"How full each group is", "Sessions as a share of what the group has room for. An alert fires from 85 % on, another from 95 %."},
		"zh": {"各组占用率", "会话数占该组上限的比例。达到 85% 和 95% 时分别告警。"},
	},
	"capacity.statuses": {
		"en": {"Servers by status", "What the API says of the servers: those that are registered take logins, those that are not do not."},
		"zh": {"各状态服务器", "API 给出的服务器状态：已注册的可接受登录，未注册的不能。"},
	},
	"capacity.agents": {
		"en": {"Servers by agent version", "How far a roll-out has come."},
		"zh": {"各 Agent 版本服务器", "升级进度。"},
	},
	"capacity.desktops": {"en": {title: "Cloud desktops"}, "zh": {title: "云桌面"}},
	"capacity.all_desktops": {
		"en": {"Desktops", "All cloud desktops, in pools and without."},
		"zh": {"桌面", "全部云桌面，包括桌面池内外。"},
	},
	"capacity.in_use": {
		"en": {"In use", "Desktops with a user on them."},
		"zh": {"使用中", "有用户连接的桌面。"},
	},
	"capacity.ready": {
		"en": {"Ready", "Desktops that are ready and idle."},
		"zh": {"就绪", "就绪且空闲的桌面。"},
	},
	"capacity.unable": {
		"en": {"Cannot be connected", "Desktops that cannot be connected to, as the vendor counts them."},
		"zh": {"无法连接", "厂商统计的无法连接的桌面。"},
	},
	"capacity.pools": {
		"en": {"Pools", "Desktops of each pool by state. A pool is full when none is ready. Those without a pool are dedicated ones. Click on a pool to look into failed logins."},
		"zh": {"桌面池", "各桌面池按状态的桌面数。没有就绪桌面即为占满。非桌面池的为专属桌面。点击查看登录失败。"},
	},
	"capacity.use": {
		"en": {"Desktops in use", "By pool."},
		"zh": {"使用中的桌面", "按桌面池。"},
	},
	"capacity.unable_trend": {
		"en": {"Desktops that cannot be connected", "By pool."},
		"zh": {"无法连接的桌面", "按桌面池。"},
	},

	// Servers
	"servers.now": {"en": {title: "Now"}, "zh": {title: "当前"}},
	"servers.used": {
		"en": {"Servers in use", "Servers with a login attempt in the time shown."},
		"zh": {"有登录的服务器", "所选时间内有登录尝试的服务器。"},
	},
	"servers.silent": {
		"en": {"Silent for 1 h", "Servers with an attempt in the last 7 days and none in the last hour, while their group had 20 or more. They may be lost, or in maintenance."},
		"zh": {"一小时无登录", "最近 7 天有登录、最近一小时没有、而本组同期登录达到 20 次的服务器。可能已失联或处于维护状态。"},
	},
	"servers.failing": {
		"en": {"Servers failing", "Servers where more than half of the attempts failed, of those with 5 attempts or more in the time shown."},
		"zh": {"故障服务器", "所选时间内登录达到 5 次且过半失败的服务器。"},
	},
	"servers.sessions": {
		"en": {"Sessions", "Active and disconnected sessions on the servers of application streaming. Needs the source sessions."},
		"zh": {"会话", "云应用服务器上的活跃与断开会话。需要启用 sessions 采集源。"},
	},
	"servers.open": {
		"en": {"Connections", "Connections that have started and not ended, as the login records tell."},
		"zh": {"未结束连接", "根据登录记录，已开始且未结束的连接。"},
	},
	"servers.imbalance": {
		"en": {"Worst imbalance", "How many times the mean of its group the fullest server holds, in the group where that is most. 1 is even."},
		"zh": {"最大不均衡度", "最满服务器的会话数是本组平均值的多少倍，取各组最大值。1 为均衡。"},
	},
	"servers.each": {"en": {title: "Each server"}, "zh": {title: "各服务器"}},
	"servers.table": {
		"en": {"Servers", "Logins of the time shown and sessions by server, of the 300 with the most logins. Silent: none in the last hour, while its group had 20 or more. Click on a server to see it alone, on a group to look into its failures. A ratio is shown from 5 attempts on."},
		"zh": {"服务器", "所选时间内各服务器的登录与会话，取登录最多的 300 台。“无登录”：最近一小时没有登录，而本组登录达到 20 次。点击服务器只看该服务器，点击桌面组查看其失败。登录达到 5 次才显示失败率。"},
	},
	"servers.time": {"en": {title: "Over time"}, "zh": {title: "随时间变化"}},
	"servers.failures_grid": {
		"en": {"Failures by server", "The 20 servers with the most failures: each cell is an interval."},
		"zh": {"各服务器失败", "失败最多的 20 台服务器，每格为一个时间段。"},
	},
	"servers.attempts_grid": {
		"en": {"Attempts by server", "The 20 servers with the most attempts: each cell is an interval. A row that ends is a server that no login reaches."},
		"zh": {"各服务器登录", "登录最多的 20 台服务器，每格为一个时间段。若某行中断，说明该服务器无人登录。"},
	},
	"servers.sessions_by_server": {
		"en": {"Sessions by server", "Active and disconnected sessions of the 20 fullest servers."},
		"zh": {"各服务器会话", "会话最多的 20 台服务器的活跃与断开会话。"},
	},
	"servers.open_by_server": {
		"en": {"Open connections by server", "The 20 servers with the most open connections."},
		"zh": {"各服务器未结束连接", "未结束连接最多的 20 台服务器。"},
	},
	"servers.imbalance_trend": {
		"en": {"Imbalance by server group", "How many times the mean of its group the fullest server holds. 1 is even; if it stays high, the distribution of sessions does not work."},
		"zh": {"各服务器组不均衡度", "最满服务器的会话数是本组平均值的多少倍。1 为均衡；持续偏高说明会话分配异常。"},
	},
	"servers.age": {
		"en": {"Is the data alive?", "How old the logins are that the other panels show, and why: what the last poll failed for, or that Prometheus does not reach the exporter. Above 15 minutes, what is of now is not known. Of several projects, the worst. Click to look at the exporter."},
		"zh": {"数据是否正常？", "其他面板所示登录数据的新旧程度及原因：最近一次轮询失败的原因，或 Prometheus 无法访问 exporter。超过 15 分钟时，当前状况未知。多个项目时取最差者。点击查看 exporter。"},
	},
	"servers.unreached": {
		"en": {"Without server", "Failures without a server: they failed before one was chosen, and no server is to blame."},
		"zh": {"未到达服务器", "未到达任何服务器的登录失败：在分配服务器之前就已失败，与服务器无关。"},
	},
	"servers.why": {"en": {title: "Why do logins to them fail?"}, "zh": {title: "为什么失败？"}},
	"servers.codes_table": {
		"en": {"Codes and what they mean", "Failure codes of the chosen servers in the time shown. Click on a code to look into it."},
		"zh": {"失败码及含义", "所选时间内所选服务器的失败码。点击失败码查看详情。"},
	},
	"servers.logins": {
		"en": {"Attempts and failures", "Attempts and failures of the chosen servers in each interval. The dashed lines are the week before, if Prometheus has kept it."},
		"zh": {"登录与失败次数", "每个时间段内所选服务器的登录尝试与失败。虚线为一周前的数据（若仍保留）。"},
	},
	"servers.codes": {
		"en": {"Failures by code", "Failures of the chosen servers by failure code: the seven with the most in the time shown, and the others."},
		"zh": {"各失败码的失败次数", "所选服务器各失败码的失败次数：所选时间内最多的七个，以及其余。"},
	},
	"servers.unused_table": {
		"en": {"Sessions without a user by server group", "Sessions that have been disconnected for longer than that: they hold room on the servers. A policy of the group can end them. Without time: the API does not say since when. Needs the source sessions. Not filtered by desktop group and server."},
		"zh": {"各服务器组无人使用的会话", "断开超过相应时长、无人连接的会话，它们占用服务器容量，可通过组策略结束。“无时间”：API 未说明断开时间。需要启用 sessions 采集源。不按桌面组和服务器筛选。"},
	},
	"servers.unused": {
		"en": {"Sessions without a user", "Sessions that have been disconnected for longer than 1, 8 and 24 hours. Each line holds those below it. Not filtered by desktop group and server."},
		"zh": {"无人使用的会话", "断开超过 1、8、24 小时的会话，时长较短的曲线包含较长者。不按桌面组和服务器筛选。"},
	},
	"servers.desktops": {"en": {title: "Desktops, one by one (only with desktop_names: true)"}, "zh": {title: "单个桌面（需要 desktop_names: true）"}},
	"servers.desktop_table": {
		"en": {"Desktops with the most failures", "The 50 desktops with the most failures in the time shown. The exporter names no desktops unless desktop_names is on: they are often called after their person. A ratio is shown from 5 attempts on."},
		"zh": {"失败最多的桌面", "所选时间内失败最多的 50 台桌面。桌面常以使用者命名，仅在开启 desktop_names 时才有数据。登录达到 5 次才显示失败率。"},
	},

	// Exporter
	"exporter.up": {
		"en": {"Exporters reached", "Share of the exporters of the time shown that Prometheus reaches now."},
		"zh": {"可访问的 exporter", "所选时间内的 exporter 中 Prometheus 当前能访问的比例。"},
	},
	"exporter.sources_up": {
		"en": {"Sources working", "Share of the sources whose last poll succeeded. The table below has the reasons, and the landing page of the exporter the errors in words."},
		"zh": {"正常采集源", "最近一次轮询成功的采集源比例。原因见下表，详细错误见 exporter 首页。"},
	},
	"exporter.age": {
		"en": {"Is the data alive?", "How old the logins are that the other panels show, and why: what the last poll failed for, or that Prometheus does not reach the exporter. Above 15 minutes, what is of now is not known. Of several projects, the worst. Click to look at the exporter."},
		"zh": {"数据是否正常？", "其他面板所示登录数据的新旧程度及原因：最近一次轮询失败的原因，或 Prometheus 无法访问 exporter。超过 15 分钟时，当前状况未知。多个项目时取最差者。点击查看 exporter。"},
	},
	"exporter.reload": {
		"en": {"Configuration valid", "Whether the configuration could be loaded when it was last tried. If not, the old one still applies."},
		"zh": {"配置有效", "最近一次加载配置是否成功。失败时旧配置继续生效。"},
	},
	"exporter.lost": {
		"en": {"Time lost", "Time whose records are lost, because the exporter did not read them within the 30 days that the API keeps them."},
		"zh": {"丢失时长", "因未在 API 保留的 30 天内读取而丢失记录的时长。"},
	},
	"exporter.limited": {
		"en": {"Counted as other", "Additions for which max_series had no room. They are in the sums, but not under their own labels."},
		"zh": {"计入 other", "因 max_series 限制而无法单独列出的计数。总数仍正确，但不再有各自的标签。"},
	},
	"exporter.build": {
		"en": {"Exporters", "What runs, whether Prometheus reaches it, and since when it runs."},
		"zh": {"运行中的 exporter", "运行的版本、Prometheus 能否访问以及已运行的时长。"},
	},
	"exporter.freshness": {"en": {title: "How fresh is the data?"}, "zh": {title: "数据是否新鲜？"}},
	"exporter.ages": {
		"en": {"Time since the last success", "Since a poll of each source last came up to date. The line is at 15 minutes, where the alert for stale logins begins; sources that are polled seldom may go above it."},
		"zh": {"距上次成功的时间", "各采集源距上次采集到最新的时间。横线为 15 分钟，即登录数据过期告警的阈值；轮询较少的采集源可能超过。"},
	},
	"exporter.cursors": {
		"en": {"Age of the cursor", "How far behind now the end of the last window is that was read whole. It falls while the exporter catches up."},
		"zh": {"游标滞后", "最近一个完整读取的窗口的终点距现在多久。补读期间会逐渐下降。"},
	},
	"exporter.delays": {
		"en": {"Delay of records", "From a record's own time to its being counted. If it comes near the lookback, raise the lookback, or late records are lost."},
		"zh": {"记录延迟", "从记录时间到被计数。若接近 lookback，请调大，否则迟到的记录会丢失。"},
	},
	"exporter.catching_up": {
		"en": {"Catching up", "Sources that are more than one poll behind. Counts then rise for logins that are long past."},
		"zh": {"正在补读", "落后超过一次轮询的采集源。此时计数上升来自较早的登录。"},
	},
	"exporter.polls": {"en": {title: "Polls"}, "zh": {title: "轮询"}},
	"exporter.poll_rate": {
		"en": {"Polls", "Polls of each interval by source, and those that failed."},
		"zh": {"轮询", "每个时间段内各采集源的轮询及其中的失败。"},
	},
	"exporter.poll_time": {
		"en": {"Duration of polls, p90", "Nine of ten polls were faster."},
		"zh": {"轮询耗时 p90", "九成轮询快于此值。"},
	},
	"exporter.dispositions": {
		"en": {"Readings of records", "Records read in each interval by what became of them. Many were read before: each poll reads the lookback again. The scale is logarithmic."},
		"zh": {"记录读取", "每个时间段读取的记录，按处理结果统计。重复属正常，每次轮询都会重读 lookback。对数坐标。"},
	},
	"exporter.doubts": {
		"en": {"Doubts", "What may have been counted wrongly or not at all: windows whose records were not as many as the API said, fields that could not be read, records in which pages and export differ, rows of files left out, and windows of unfinished records that were given up for a round. Rows of totals and comments are left out by right; all else should be 0."},
		"zh": {"存疑", "可能计数有误或未计数之处：数量与 API 所述不符的窗口、无法读取的字段、分页与导出不一致的记录、文件中跳过的行，以及本轮放弃的未完成记录窗口。合计行和注释行属正常跳过，其余均应为 0。"},
	},
	"exporter.api": {"en": {title: "Requests to the API"}, "zh": {title: "API 请求"}},
	"exporter.requests": {
		"en": {"Requests", "Requests of each interval by operation, each attempt counted; those without a 2xx status in red. 429 is the API's limit: the exporter slows down. error: there was no answer."},
		"zh": {"请求", "每个时间段内各操作的请求，每次尝试都计数；非 2xx 为红色。429 为 API 限流，exporter 会放慢；error 表示无应答。"},
	},
	"exporter.request_time": {
		"en": {"Duration of requests, p90", "Nine of ten requests were faster, each attempt by itself."},
		"zh": {"请求耗时 p90", "九成请求快于此值，每次尝试单独计时。"},
	},
	"exporter.request_errors": {
		"en": {"Requests that failed", "Share of the requests of each interval without a 2xx status, by operation."},
		"zh": {"失败请求", "每个时间段内非 2xx 的请求比例，按操作统计。"},
	},
	"exporter.tasks": {
		"en": {"Export tasks", "Export tasks by what became of them."},
		"zh": {"导出任务", "导出任务，按结果统计。"},
	},
	"exporter.process": {"en": {title: "Process"}, "zh": {title: "进程"}},
	"exporter.commits": {
		"en": {"Commits to the store, p99", "99 of 100 commits were faster. Slow ones point to a slow disk."},
		"zh": {"存储提交耗时 p99", "99% 的提交快于此值。过慢说明磁盘较慢。"},
	},
	"exporter.cpu": {
		"en": {"Processor", "Processor time used, as a share of one core."},
		"zh": {"处理器", "占用的处理器时间，以单核为基准。"},
	},
	"exporter.memory": {
		"en": {"Memory", "Resident memory of the process."},
		"zh": {"内存", "进程的常驻内存。"},
	},
	"exporter.samples": {
		"en": {"Samples per scrape", "How many samples a scrape brings: the size of the exporter's metrics in Prometheus."},
		"zh": {"每次抓取样本数", "一次抓取的样本数，即 exporter 指标在 Prometheus 中的规模。"},
	},
	"exporter.limited_families": {
		"en": {"Counted as other, by metric", "Additions of each interval for which max_series had no room, by metric: raise max_series, or drop the label that grows."},
		"zh": {"计入 other 的指标", "每个时间段内因 max_series 限制而计入 other 的计数，按指标统计：请调大 max_series，或去掉不断增长的标签。"},
	},
	"exporter.sources": {
		"en": {"Sources", "Each source: whether its last poll succeeded, and if not, why; and how old its data is. Not known: Prometheus does not reach the exporter. What to do about a reason stands in the runbooks."},
		"zh": {"采集源", "各采集源最近一次轮询是否成功、失败原因以及数据年龄。未知：Prometheus 无法访问 exporter。各原因的处理方法见运维手册。"},
	},
	"records.lines": {
		"en": {"Failed logins", "The failed logins in the exporter's log of failures, if failed_logins_log is set and Loki collects the file. Application filters do not apply."},
		"zh": {"失败登录", "exporter 失败日志中的登录，需设置 failed_logins_log 并由 Loki 收集。应用筛选不适用。"},
	},
	"records.launch_lines": {
		"en": {"Failed application launches", "The launches in the same log that failed. The filters for products and desktop groups do not apply."},
		"zh": {"失败的应用启动", "同一日志中失败的应用启动。产品与桌面组筛选不适用。"},
	},
	"exporter.unfinished": {
		"en": {"Unfinished records", "Records that are pending or open. Those behind the lookback are read again in rounds, until they have ended."},
		"zh": {"未完成记录", "待定或未结束的记录。超出 lookback 的会分轮重读，直到结束。"},
	},
	"exporter.unwritten": {
		"en": {"Lines not written", "Lines that the exporter could not write in each interval: to the log of failed logins, and to its own. Both should be 0."},
		"zh": {"未写入的行", "每个时间段内 exporter 未能写入的行：失败登录日志与自身日志。均应为 0。"},
	},
}

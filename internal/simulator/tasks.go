package simulator

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Task is an export task as the API writes it (ExportTaskItem).
type Task struct {
	TaskID       string `json:"task_id"`
	FileName     string `json:"file_name"`
	Status       string `json:"status"` // CREATING, SUCCESS, FAIL, EXPIRED
	FailReason   string `json:"fail_reason,omitempty"`
	ErrorCode    string `json:"error_code,omitempty"`
	CreateTime   string `json:"create_time"`
	EndTime      string `json:"end_time,omitempty"`
	IsDownloaded bool   `json:"is_download"`
}

// The states of an export task.
const (
	taskCreating = "CREATING"
	taskSuccess  = "SUCCESS"
	taskFail     = "FAIL"
	taskExpired  = "EXPIRED"
)

// taskLife is how long the file of a task is kept. No page says how long.
const taskLife = 24 * time.Hour

var errSortType = errors.New("sort_type must be used together with sort_field")

// task is an export task, with all that will ever become of it.
type task struct {
	id, fileName  string
	created, done time.Time // never done: zero
	fate          Fault
	downloaded    bool
	file          func() []byte // the same at each call
}

// show writes the task as the API shows it at now.
func (t *task) show(now time.Time) Task {
	shown := Task{TaskID: t.id, FileName: t.fileName, Status: taskCreating, CreateTime: formatMillis(t.created), IsDownloaded: t.downloaded}
	if t.done.IsZero() || now.Before(t.done) {
		return shown
	}
	shown.EndTime = formatMillis(t.done)
	switch {
	case t.fate.Kind == FaultTaskFail:
		shown.Status, shown.FailReason, shown.ErrorCode = taskFail, t.fate.Message, t.fate.Code
	case t.fate.Kind == FaultTaskExpire || !now.Before(t.done.Add(taskLife)):
		shown.Status = taskExpired
	default:
		shown.Status = taskSuccess
	}
	return shown
}

// createTask makes the task whose file is a table, and answers its id.
func (s *Simulator) createTask(r *request, content table) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tasks[r.project]) >= s.options.MaxTasks {
		return refuse(r, http.StatusBadRequest, codeTooManyTasks,
			fmt.Sprintf("The project has %d export tasks, which is the limit. Delete some.", s.options.MaxTasks))
	}
	t := &task{
		id: hexSHA256([]byte(r.id))[:32], fileName: s.fileName(content.name, r.now), created: r.now, fate: r.fate,
		file: sync.OnceValue(func() []byte { return s.options.File.encode(content, s.options.Seed) }),
	}
	if r.fate.Kind != FaultTaskHang {
		t.done = r.now.Add(max(0, s.options.TaskDuration))
	}
	s.tasks[r.project] = append(s.tasks[r.project], t)
	return jsonAnswer(http.StatusOK, map[string]string{"task_id": t.id})
}

func (s *Simulator) fileName(name string, now time.Time) string {
	return name + "_" + now.Format("20060102150405") + s.options.File.extension()
}

// Tasks are the export tasks of a project as the API shows them at this moment.
func (s *Simulator) Tasks(projectID string) []Task {
	now := s.options.Now().UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Task, 0, len(s.tasks[projectID]))
	for _, t := range s.tasks[projectID] {
		list = append(list, t.show(now))
	}
	return list
}

// listTasks is GET /v2/{project_id}/export-tasks.
func (s *Simulator) listTasks(r *request) answer {
	var q query
	if err := r.readPage(&q, 20, 1, 100); err != nil {
		return invalid(r, err)
	}
	direction, err := readSort(r.parameters, "create_time")
	if err == nil {
		err = oneOf(r.parameters, "status", taskCreating, taskSuccess, taskFail, taskExpired)
	}
	if err == nil {
		err = oneOf(r.parameters, "is_download", "true", "false")
	}
	if err != nil {
		return invalid(r, err)
	}
	if r.parameters["is_download"] == "" {
		r.parameters["is_download"] = "false" // the default, say the vendor's definitions
	}
	list := slices.DeleteFunc(s.Tasks(r.project), func(t Task) bool { return !t.matches(r.parameters) })
	if direction < 0 {
		slices.Reverse(list)
	}
	return jsonAnswer(http.StatusOK, struct {
		Count int    `json:"count"`
		Tasks []Task `json:"export_tasks"`
	}{len(list), cut(list, q)})
}

func (t *Task) matches(parameters map[string]string) bool {
	for name, value := range parameters {
		matches := true
		switch name {
		case "task_id":
			matches = t.TaskID == value
		case "status":
			matches = t.Status == value
		case "file_name":
			matches = strings.Contains(t.FileName, value)
		case "is_download":
			matches = strconv.FormatBool(t.IsDownloaded) == value
		}
		if !matches {
			return false
		}
	}
	return true
}

// download is GET /v2/{project_id}/export-tasks/{task_id}/download.
func (s *Simulator) download(r *request) answer {
	s.mu.Lock()
	t, storage := s.task(r), s.storageURL
	var status string
	if t != nil {
		status = t.show(r.now).Status
		t.downloaded = t.downloaded || status == taskSuccess
	}
	s.mu.Unlock()
	switch {
	case t == nil:
		return refuse(r, http.StatusNotFound, codeNotFound, "No resources found: the export task does not exist.")
	case status != taskSuccess:
		return refuse(r, http.StatusBadRequest, codeTaskNotDone, "The export task has no file: its status is "+status+".")
	case storage != "":
		return s.redirect(r, storage)
	}
	return fileAnswer(t.fileName, t.file())
}

// task finds the task that a path names, in its project. The caller holds s.mu.
func (s *Simulator) task(r *request) *task {
	for _, t := range s.tasks[r.project] {
		if t.id == r.task {
			return t
		}
	}
	return nil
}

// deleteTasks is POST /v2/{project_id}/export-tasks/batch-delete. What is not there
// need not be deleted: so a request may be sent again whose answer was lost.
func (s *Simulator) deleteTasks(r *request) answer {
	var given struct {
		IDs []string `json:"task_ids"`
	}
	if err := decodeOne(r.body, &given); err != nil {
		return invalid(r, errors.New("the body must be a JSON object with task_ids, a list of strings"))
	}
	if n := len(given.IDs); n < 1 || n > 200 || contains(given.IDs, "") {
		return invalid(r, errors.New("task_ids must hold 1 to 200 ids"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks[r.project] = slices.DeleteFunc(s.tasks[r.project], func(t *task) bool { return contains(given.IDs, t.id) })
	return answer{status: http.StatusOK}
}

// fileAnswer is a file, whose format its name may tell but no header.
func fileAnswer(name string, content []byte) answer {
	return answer{http.StatusOK, http.Header{
		"Content-Type":        {"application/octet-stream"},
		"Content-Disposition": {`attachment; filename="` + name + `"`},
	}, content}
}

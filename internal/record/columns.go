package record

// Columns say how the columns of files stand for the fields of a record.
type Columns struct {
	// Required are the fields without which a file is of no use: of every group it must
	// have at least one. The first group says whose, or which, a record is.
	Required [][]string
	Times    []string // the fields that hold a time
	// Titles are the titles that a field's column may have, beside the field's own name:
	// the English and Chinese descriptions of the API's definitions, and what a console is
	// likely to call the same things.
	Titles map[string][]string
}

"""What a person looks at: HTML, Markdown, CSV, figures."""

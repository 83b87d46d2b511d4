"""What happened, as a JSON API and a website for administrators."""

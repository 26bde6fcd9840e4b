// Copy buttons. Without this script the SQL can be selected and copied by hand.
for (const button of document.querySelectorAll("[data-copy]")) {
  const sql = button.parentElement.querySelector("pre");
  button.hidden = false;
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(sql.textContent);
      button.textContent = "Copied";
    } catch {
      // Browsers refuse the clipboard to pages that came over plain HTTP.
      getSelection().selectAllChildren(sql);
      button.textContent = "Selected: press Ctrl+C";
    }
  });
}

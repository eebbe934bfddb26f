// "Support": the list and one session's page follow what happens.
import { finder, follow } from "./live.js";

const look = follow(document.getElementById("live"), () => location.search);
const form = document.getElementById("find-session");
if (form) finder(form, look);

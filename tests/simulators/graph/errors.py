"""Every refusal Graph can answer, with the status, code and words recorded from the live service."""

from typing import Any


class GraphError(Exception):
    """An answer that is an error; `code` None stands for an empty text/plain body."""

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str = "",
        *,
        headers: dict[str, str] | None = None,
        annotations: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.annotations = annotations or {}

    def body(self, date: str, request_id: str, client_request_id: str) -> dict[str, Any]:
        """The JSON body; both spellings of `innerError` occur on the wire, so both occur here."""
        spelling = "innerError" if int(request_id[0], 16) % 2 else "innererror"
        inner = {"date": date[:19], "request-id": request_id, "client-request-id": client_request_id}
        return {
            "error": {"code": self.code, "message": self.message, **self.annotations, spelling: inner},
        }


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """400."""
    return GraphError(400, code, message)


def unknown_segment(segment: str) -> GraphError:
    """400, as Graph answers to any path that its model does not know."""
    return bad_request(f"Resource not found for the segment '{segment}'.")


def method_not_allowed() -> GraphError:
    """405."""
    return GraphError(
        405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."
    )


def unreadable_body(message: str) -> GraphError:
    """400: the JSON does not fit the model."""
    return bad_request(message, "RequestBodyRead")


def unreadable_payload() -> GraphError:
    """400: no JSON object, or no word that it is JSON."""
    return bad_request(
        "Unable to read JSON request payload. "
        "Please ensure Content-Type header is set and payload is of valid JSON format."
    )


def invalid_property() -> GraphError:
    """400, with the service's unhelpful general text."""
    return bad_request("At least one property failed validation.", "ErrorPropertyValidationFailure")


def invalid_request(message: str) -> GraphError:
    """400 `ErrorInvalidRequest`."""
    return bad_request(f"Your request can't be completed. {message}", "ErrorInvalidRequest")


def invalid_filter(message: str) -> GraphError:
    """400: a `$filter` the service cannot answer."""
    return bad_request(message, "ErrorInvalidUrlQueryFilter")


def unsupported_zone(name: str) -> GraphError:
    """400: neither a Windows zone nor one of the listed IANA zones."""
    return bad_request(
        f"A valid TimeZone value must be specified. The following TimeZone value is not supported: '{name}'.",
        "TimeZoneNotSupportedException",
    )


def malformed_id() -> GraphError:
    """400: no id of any event could look so."""
    return bad_request("Id is malformed.", "ErrorInvalidIdMalformed")


def duplicate_transaction(transaction_id: str, event_id: str) -> GraphError:
    """400: the transactionId was spent on an event with other content."""
    return GraphError(
        400,
        "ErrorDuplicateTransactionId",
        "Your request can't be completed. "
        f"The TransactionId '{transaction_id}' has already been used for a different event.",
        annotations={"@event.existingEventId": event_id},
    )


def unauthenticated(message: str) -> GraphError:
    """401 with the challenge header."""
    challenge = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        'client_id="00000003-0000-0000-c000-000000000000"'
    )
    return GraphError(401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": challenge})


def access_denied(message: str = "Access is denied. Check credentials and try again.") -> GraphError:
    """403 of Exchange."""
    return GraphError(403, "ErrorAccessDenied", message)


def denied_by_policy() -> GraphError:
    """403 of an application access policy."""
    return access_denied(
        "Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings."
    )


def insufficient_privileges() -> GraphError:
    """403 of the directory."""
    return GraphError(
        403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
    )


def item_not_found() -> GraphError:
    """404: the event or calendar is gone."""
    return GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def invalid_user(name: str) -> GraphError:
    """404: nobody of that name in the token's tenant."""
    return GraphError(404, "ErrorInvalidUser", f"The requested user '{name}' is invalid.")


def no_mailbox() -> GraphError:
    """404: a user without a licence, or a mailbox that is not in the cloud."""
    return GraphError(
        404,
        "MailboxNotEnabledForRESTAPI",
        "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
    )


def conflict() -> GraphError:
    """412: the change key does not match."""
    return GraphError(
        412,
        "ErrorIrresolvableConflict",
        "The send or update operation could not be performed because the change key passed in the request "
        "does not match the current change key for the item.",
    )


def concurrent_save() -> GraphError:
    """409: another save of the same item was faster."""
    return GraphError(409, "ErrorConcurrentItemSave", "The item was saved concurrently by another request.")


def throttled(limit: str, retry_after: int = 1) -> GraphError:
    """429; Outlook's Retry-After is often 1 whatever the limit."""
    return GraphError(
        429,
        "ApplicationThrottled",
        f"Application is over its {limit} limit.",
        headers={"Retry-After": str(retry_after)},
    )


def unavailable(retry_after: int | None = None) -> GraphError:
    """503 with a JSON body."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return GraphError(503, "ServiceUnavailable", "The service is unavailable.", headers=headers)


def silent_unavailable() -> GraphError:
    """503 with an empty text/plain body."""
    return GraphError(503, None)


def gateway_timeout() -> GraphError:
    """504; an empty message and an unknown code."""
    return GraphError(504, "UnknownError", "")

"""What was said in a conversation, where that is kept, and the erasure of all that is known of one."""

import asyncio

from fastapi import APIRouter

from middleware.admin.bodies import ContentTurn, ConversationContent, ErasedBody
from middleware.admin.errors import ApiError
from middleware.admin.state import AdminState
from middleware.errors import ConfigurationError

__all__ = ["router"]


def router(state: AdminState) -> APIRouter:
    """The routes over this state. Both need the scope ``operate``."""
    routes = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])

    @routes.get("/{conversation}/content", summary="What was said in a conversation, redacted, where it is kept")
    async def content(conversation: str) -> ConversationContent:
        if state.open_content is None:
            raise ApiError(404, "content_off", "No content is kept; see store.keep_content.")
        kept = []
        for key in state.conversation_keys(conversation):
            kept += await asyncio.to_thread(state.store.contents_of, key)
        if not kept:
            raise ApiError(404, "conversation_unknown", "Nothing of this conversation is kept, or it was removed.")
        try:
            opened = [state.open_content(one) for one in kept]
        except ConfigurationError as error:
            raise ApiError(409, "content_unreadable", str(error)) from None
        turns = [ContentTurn(turn=one.turn, at=one.at, user=one.user, assistant=one.assistant) for one in opened]
        return ConversationContent(conversation=conversation, deployment=kept[0].deployment, turns=turns)

    @routes.delete("/{conversation}", summary="Erase everything that is known of a conversation")
    async def erase(conversation: str) -> ErasedBody:
        keys = list(state.conversation_keys(conversation))
        try:
            erased = await asyncio.to_thread(state.store.erase, keys)
        finally:  # after the store: what was being saved until then is in memory by now
            state.forget(keys)
        return ErasedBody(
            conversation=conversation,
            scores=erased.scores,
            content=erased.content,
            events=erased.events,
            places=erased.places,
        )

    return routes

"""
Settings to running server: the only part that knows every other.

A request's journey, and where each step is put together:
1. `run_server` binds the sockets, and an HTTP server (uvicorn with our protocol class, or granian) speaks HTTP/1.1;
2. `make_app` puts the application behind the forwarding headers of trusted proxies, and `--debug` around it;
3. the application understands the path and asks the gate, which asks an authenticator (`make_auth`);
4. the gate hands over an index (`make_index`): ours first, then the upstream behind its policy, all behind a guard;
5. our own index keeps records and files in a store (`make_store`), opened by the backend that the settings name.
"""

from wheelyard.compose.app import Server as Server
from wheelyard.compose.app import make_app as make_app
from wheelyard.compose.indexes import make_auth as make_auth
from wheelyard.compose.indexes import make_hosted as make_hosted
from wheelyard.compose.indexes import make_index as make_index
from wheelyard.compose.indexes import make_store as make_store
from wheelyard.compose.indexes import now_utc as now_utc
from wheelyard.compose.indexes import open_index as open_index
from wheelyard.compose.indexes import publish_limits as publish_limits
from wheelyard.compose.log import configure_log as configure_log
from wheelyard.compose.policy import open_explainer as open_explainer
from wheelyard.compose.running import bind as bind
from wheelyard.compose.running import run_server as run_server
from wheelyard.compose.running import url_of as url_of

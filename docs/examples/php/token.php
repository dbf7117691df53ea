<?php

declare(strict_types=1);

// A PHP page that gives its signed-in user a session token. The API key stays on the server. Needs nothing but PHP 8.1:
// VOXGATE=http://127.0.0.1:8080 KEY=vk_... php -S 127.0.0.1:3000 -t docs/examples/php

ini_set('display_errors', '0'); // a warning in the body would break the JSON, and may tell too much
ini_set('log_errors', '1');

function answer(int $status, array $body): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    header('Cache-Control: no-store');
    echo json_encode($body, JSON_THROW_ON_ERROR);
    exit;
}

session_start(['cookie_httponly' => true, 'cookie_samesite' => 'Lax']);
// Put your own session check here: without one, anybody gets tokens at your expense.
$user = $_SESSION['user'] ?? null;
if (!is_string($user)) {
    answer(401, ['error' => 'sign in first']);
}
$asked = ['sub' => $user, 'leash' => ['seconds' => 600]];
if (isset($_SERVER['HTTP_ORIGIN'])) {
    $asked['origin'] = $_SERVER['HTTP_ORIGIN']; // the token is good on the page that asked for it alone
}
$context = stream_context_create(['http' => [
    'method' => 'POST',
    'header' => 'Authorization: Bearer ' . getenv('KEY') . "\r\nContent-Type: application/json",
    'content' => json_encode($asked, JSON_THROW_ON_ERROR),
    'timeout' => 5,
    'ignore_errors' => true,
]]);
$said = file_get_contents(getenv('VOXGATE') . '/api/realtime/token', false, $context);
$decoded = $said === false ? null : json_decode($said, true);
if (($decoded['success'] ?? false) !== true) {
    answer($said === false ? 503 : 502, ['error' => $decoded['error']['message'] ?? 'the gateway did not answer']);
}
answer(200, ['token' => $decoded['data']['token'], 'url' => $decoded['data']['url']]);

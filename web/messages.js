// Every sentence of the page, French and English side by side; `{name}` is filled in.

const MESSAGES = {
  // frame
  skip: ['Aller au contenu', 'Skip to content'],
  tagline: ['Ce qui se dit en direct reste en mémoire.', 'What is said live is remembered.'],
  nav: ['Navigation principale', 'Main navigation'],
  home: ['Directs', 'Lives'],
  studio: ['Studio', 'Studio'],
  library: ['Médias', 'Media'],
  login: ['Connexion', 'Log in'],
  logout: ['Déconnexion', 'Log out'],
  otherLanguage: ['English', 'Français'],
  loading: ['Chargement…', 'Loading…'],
  retry: ['Réessayer', 'Try again'],
  close: ['Fermer', 'Close'],
  cancel: ['Annuler', 'Cancel'],
  notFoundTitle: ['Cette page n’existe pas', 'There is no such page'],
  notFoundText: ['L’adresse est peut-être incomplète.', 'The address may be incomplete.'],
  backHome: ['Voir tous les directs', 'See all lives'],
  updated: ['griot a été mis à jour. Rechargez la page.', 'griot was updated. Reload the page.'],
  reload: ['Recharger', 'Reload'],

  // errors
  errorNetwork: ['Le serveur ne répond pas. Vérifiez votre connexion.', 'The server does not answer. Check your connection.'],
  errorServer: ['Le serveur a eu un problème. Réessayez dans un instant.', 'The server had a problem. Try again in a moment.'],

  // home
  homeTitle: ['En direct', 'Live now'],
  replaysTitle: ['Rediffusions récentes', 'Recent replays'],
  homeEmpty: ['Personne n’est en direct pour le moment.', 'Nobody is live right now.'],
  homeEmptyHint: ['Dès qu’un direct commence, il apparaît ici, sans recharger la page.', 'As soon as a live begins it appears here, without a reload.'],
  replaysEmpty: ['Aucune rediffusion pour l’instant.', 'No replays yet.'],
  startOne: ['Lancer un direct', 'Go live'],
  untitled: ['Direct sans titre', 'Untitled live'],
  by: ['par {name}', 'by {name}'],
  'viewers.one': ['{count} spectateur', '{count} viewer'],
  'viewers.other': ['{count} spectateurs', '{count} viewers'],
  startedAt: ['Commencé le {date}', 'Started on {date}'],
  playedAt: ['Diffusé le {date}', 'Streamed on {date}'],

  // library
  sendTitle: ['Envoyer des images et des vidéos', 'Send images and videos'],
  dropHere: ['Déposez vos fichiers ici, ou touchez pour choisir', 'Drop your files here, or tap to choose'],
  dropHint: ['JPEG, PNG, GIF, WebP, MP4, WebM, QuickTime, AVI. Un envoi interrompu reprend où il en était.', 'JPEG, PNG, GIF, WebP, MP4, WebM, QuickTime, AVI. An interrupted upload goes on where it was.'],
  waiting: ['En attente…', 'Waiting…'],
  sending: ['Envoi : {percent} %', 'Sending: {percent} %'],
  checking: ['Arrivé, vérification…', 'Arrived, being checked…'],
  processing: ['En préparation…', 'Being prepared…'],
  sent: ['Envoyé', 'Sent'],
  cancelled: ['Annulé', 'Cancelled'],
  libraryShelf: ['Vos médias', 'Your media'],
  libraryEmpty: ['Vous n’avez encore rien envoyé.', 'You have not sent anything yet.'],
  untitledMedium: ['Sans titre', 'Untitled'],
  megabytes: ['{size} Mo', '{size} MB'],
  delete: ['Supprimer', 'Delete'],
  deleteNamed: ['Supprimer « {name} »', 'Delete “{name}”'],
  deleteQuestion: ['Supprimer ce média ?', 'Delete this media?'],
  deleteConsequence: ['Il disparaît pour tout le monde, sans retour.', 'It is gone for everybody, for good.'],

  // states
  ready: ['Pas encore commencé', 'Not begun yet'],
  live: ['En direct', 'Live'],
  interrupted: ['Interrompu', 'Interrupted'],
  ended: ['Rediffusion', 'Replay'],
  coverReady: ['Le direct n’a pas encore commencé', 'The live has not begun yet'],
  coverReadyHint: ['Vous êtes au bon endroit : l’image arrivera d’elle-même.', 'You are in the right place: the picture will come by itself.'],
  coverInterrupted: ['Le direct reprend bientôt', 'The live will be back soon'],
  coverInterruptedHint: ['Le signal est interrompu. Restez ici, la lecture reprendra seule.', 'The signal is interrupted. Stay here, playback goes on by itself.'],
  coverEnded: ['Le direct est terminé', 'The live has ended'],
  coverNothing: ['Ce direct n’a pas laissé d’enregistrement', 'This live left no recording'],
  coverTrouble: ['La vidéo n’arrive pas', 'The video does not arrive'],
  coverTroubleHint: ['Nouvelle tentative en cours…', 'Trying again…'],
  coverUnsupported: ['Ce navigateur ne peut pas lire cette vidéo', 'This browser cannot play this video'],
  watchFromStart: ['Revoir depuis le début', 'Watch from the start'],
  announceLive: ['Le direct a commencé.', 'The live has begun.'],
  announceBack: ['Le direct a repris.', 'The live is back.'],
  announceInterrupted: ['Le direct est interrompu.', 'The live is interrupted.'],
  announceEnded: ['Le direct est terminé, la rediffusion est disponible.', 'The live has ended, the replay is available.'],

  // player
  player: ['Lecteur vidéo', 'Video player'],
  play: ['Lecture', 'Play'],
  pause: ['Pause', 'Pause'],
  again: ['Revoir', 'Play again'],
  mute: ['Couper le son', 'Mute'],
  unmute: ['Activer le son', 'Unmute'],
  volume: ['Volume', 'Volume'],
  fullScreen: ['Plein écran', 'Full screen'],
  leaveFullScreen: ['Quitter le plein écran', 'Leave full screen'],
  position: ['Position', 'Position'],
  positionOf: ['{at} sur {total}', '{at} of {total}'],
  atLive: ['En direct', 'Live'],
  backToLive: ['Revenir au direct', 'Back to live'],
  latency: ['Retard', 'Latency'],
  latencyLabel: ['Retard sur le direct : {seconds} secondes', 'Behind live: {seconds} seconds'],
  seconds: ['{seconds} s', '{seconds} s'],
  behind: ['{time} de retard', '{time} behind'],
  quality: ['Qualité', 'Quality'],
  qualityAuto: ['Automatique', 'Automatic'],
  qualityAutoNow: ['Automatique ({height}p)', 'Automatic ({height}p)'],
  qualityHeight: ['{height}p', '{height}p'],
  qualitySound: ['Son seul', 'Sound alone'],
  qualitySoundShort: ['Son', 'Sound'],
  dataSaver: ['Économie de données', 'Data saver'],
  dataSaverHint: ['La plus petite image, le son seul si besoin', 'The smallest picture, sound alone if need be'],

  // watch
  download: ['Télécharger en MP4', 'Download as MP4'],
  webm: ['Télécharger en WebM', 'Download as WebM'],
  webmMake: ['Préparer un WebM', 'Make a WebM'],
  webmQueued: ['WebM en attente…', 'WebM queued…'],
  webmRunning: ['WebM : {percent} %', 'WebM: {percent} %'],
  webmFailed: ['Le WebM n’a pas pu être fait.', 'The WebM could not be made.'],
  finishing: ['L’enregistrement est en préparation…', 'The recording is being prepared…'],
  failed: ['L’enregistrement a échoué.', 'The recording failed.'],
  'gaps.one': ['{count} coupure', '{count} break'],
  'gaps.other': ['{count} coupures', '{count} breaks'],
  liveMissing: ['Ce direct est introuvable', 'This live cannot be found'],
  liveMissingHint: ['Il a peut-être été supprimé.', 'It may have been deleted.'],
  share: ['Copier le lien', 'Copy link'],
  copied: ['Copié', 'Copied'],
  copyFailed: ['Copie impossible : sélectionnez le texte.', 'Could not copy: select the text.'],
  manage: ['Gérer ce direct', 'Manage this live'],

  // login
  loginTitle: ['Connexion', 'Log in'],
  loginDo: ['Se connecter', 'Log in'],
  loginIntro: ['Pour lancer un direct et régler votre encodeur.', 'To go live and set up your encoder.'],
  email: ['Adresse e-mail', 'E-mail address'],
  password: ['Mot de passe', 'Password'],
  showPassword: ['Afficher le mot de passe', 'Show password'],
  hidePassword: ['Masquer le mot de passe', 'Hide password'],
  loginBusy: ['Connexion…', 'Logging in…'],

  // studio
  studioTitle: ['Studio', 'Studio'],
  newLive: ['Nouveau direct', 'New live'],
  newLiveHint: ['Vous pouvez aussi démarrer directement dans OBS : le direct se crée tout seul.', 'You can also just start in OBS: the live is created by itself.'],
  title: ['Titre', 'Title'],
  description: ['Description', 'Description'],
  optional: ['facultatif', 'optional'],
  start: ['Démarrer le direct', 'Start the live'],
  starting: ['Démarrage…', 'Starting…'],
  waitingEncoder: ['En attente de votre encodeur', 'Waiting for your encoder'],
  waitingEncoderHint: ['Dans OBS, cliquez sur « Commencer le streaming ».', 'In OBS, click “Start Streaming”.'],
  stop: ['Arrêter le direct', 'Stop the live'],
  stopping: ['Arrêt…', 'Stopping…'],
  stopQuestion: ['Arrêter le direct ?', 'Stop the live?'],
  stopConsequence: ['Les spectateurs passeront à la rediffusion. Un direct arrêté ne peut pas reprendre.', 'Viewers move on to the replay. A stopped live cannot be resumed.'],
  stopFailed: ['L’arrêt n’a pas abouti : {reason}', 'Stopping did not work: {reason}'],
  forceStop: ['Arrêt forcé', 'Force stop'],
  forced: ['Arrêt demandé. Cette page est libre ; la demande est répétée jusqu’à ce que le serveur réponde.', 'Stop requested. This page is free again; the request is repeated until the server answers.'],
  stopped: ['Direct arrêté.', 'Live stopped.'],
  stoppedSaved: ['Direct arrêté, l’enregistrement est prêt.', 'Live stopped, the recording is ready.'],
  seeReplay: ['Voir la rediffusion', 'See the replay'],
  publicPage: ['Page publique', 'Public page'],
  obsTitle: ['Réglages OBS', 'OBS settings'],
  obsWhere: ['Dans OBS : Paramètres → Stream (Flux) → Service « Personnalisé ».', 'In OBS: Settings → Stream → Service “Custom”.'],
  server: ['Serveur', 'Server'],
  streamKey: ['Clé de stream', 'Stream key'],
  keySecret: ['Gardez cette clé secrète : qui la possède peut diffuser en votre nom. Ne la montrez jamais à l’écran.', 'Keep this key secret: whoever has it can go live in your name. Never show it on screen.'],
  show: ['Afficher', 'Show'],
  hide: ['Masquer', 'Hide'],
  copy: ['Copier', 'Copy'],
  rotate: ['Changer la clé', 'Change the key'],
  rotateQuestion: ['Changer la clé de stream ?', 'Change the stream key?'],
  rotateConsequence: ['L’ancienne clé cesse de fonctionner : il faudra mettre la nouvelle dans OBS.', 'The old key stops working: the new one must be put into OBS.'],
  rotated: ['Nouvelle clé créée.', 'New key created.'],
  hintsTitle: ['Pour un retard minimal', 'For the least delay'],
  hintKeyframe: ['Intervalle d’images clés : 2 s (pas « automatique », qui donne 8 s).', 'Keyframe interval: 2 s (not “auto”, which means 8 s).'],
  hintTune: ['Encodeur x264 : réglage « zerolatency » ; autres encodeurs : « faible latence ».', 'x264 encoder: tune “zerolatency”; other encoders: “low latency”.'],
  hintBitrate: ['Débit constant (CBR) : 2 500 kbit/s en 720p, 4 500 à 6 000 en 1080p.', 'Constant bit rate (CBR): 2,500 kbit/s at 720p, 4,500 to 6,000 at 1080p.'],
  hintAudio: ['Audio AAC, 128 à 160 kbit/s, 48 kHz.', 'AAC audio, 128 to 160 kbit/s, 48 kHz.'],
  doctor: ['Ce que le serveur a remarqué dans votre flux', 'What the server noticed in your stream'],
  sessions: ['Connexions de l’encodeur', 'Encoder sessions'],
  sessionsEmpty: ['Aucune connexion pour l’instant.', 'No connection yet.'],
  sessionNow: ['en cours', 'now'],
  sessionRange: ['{from} – {to}', '{from} – {to}'],
  noKey: ['Les réglages OBS n’ont pas pu être chargés.', 'The OBS settings could not be loaded.'],
};

const LANGUAGES = ['fr', 'en'];
const CHOICE = 'griot.language';

function choose() {
  const chosen = localStorage.getItem(CHOICE);
  if (LANGUAGES.includes(chosen)) return chosen;
  for (const wish of navigator.languages ?? []) {
    const language = wish.toLowerCase().split('-')[0];
    if (LANGUAGES.includes(language)) return language;
  }
  return LANGUAGES[0];
}

/** The page's language: the reader's choice, else the browser's wish, else French. */
export const language = choose();

/** Changes the language; the page is built anew. */
export function switchLanguage() {
  localStorage.setItem(CHOICE, language === 'fr' ? 'en' : 'fr');
  location.reload();
}

/** The sentence `key`, with its `{names}` filled in. */
export function t(key, values = {}) {
  const sentence = MESSAGES[key]?.[LANGUAGES.indexOf(language)];
  if (sentence === undefined) throw new Error(`no sentence ${key}`);
  const filled = sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  return language === 'fr' ? unbroken(filled) : filled;
}

/** French sets spaces inside quotes, before high punctuation and in numbers; a line must not break there. */
function unbroken(text) {
  return text.replace(/« /g, '«\u00a0').replace(/ ([»:;?!…])/g, '\u00a0$1').replace(/(\d) (\d{3})/g, '$1\u202f$2');
}

const plural = new Intl.PluralRules(language);
const whole = new Intl.NumberFormat(language);
const tenth = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const dateTime = new Intl.DateTimeFormat(language, { dateStyle: 'long', timeStyle: 'short' });
const clock = new Intl.DateTimeFormat(language, { timeStyle: 'short' });

/** A counted sentence: `viewers.one` or `viewers.other`. */
export function counted(key, count) {
  const form = plural.select(count) === 'one' ? 'one' : 'other';
  return t(`${key}.${form}`, { count: whole.format(count) });
}

/** A number with one decimal, as the language writes it. */
export function oneDecimal(value) {
  return tenth.format(value);
}

/** A moment given as ISO text: date and time, or the time alone. */
export function moment(iso, withDate = true) {
  return (withDate ? dateTime : clock).format(new Date(iso));
}

/** Seconds as `1:02:03` or `2:03`. */
export function duration(seconds) {
  const all = Math.max(0, Math.floor(seconds));
  const two = (value) => String(value).padStart(2, '0');
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor(all / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
}
